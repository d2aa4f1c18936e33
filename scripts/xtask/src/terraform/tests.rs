//! Each rule, broken once.

use std::{collections::BTreeSet, path::Path};

use super::{
    Finding,
    adapter::Adapter,
    code::{Code, Function},
    configuration::Configuration,
    functions, policies, references, syntax, tables, texts, variables,
};

fn problems(found: Vec<Finding>) -> Vec<String> {
    found
        .into_iter()
        .map(|it| format!("{}: {}", it.at, it.problem))
        .collect()
}

fn set<const N: usize>(texts: [&str; N]) -> BTreeSet<String> {
    texts.map(str::to_owned).into()
}

#[test]
fn the_projects_configuration_passes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let found = super::check(&root).unwrap();
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn a_reference_that_leads_nowhere_is_found() {
    for (text, problem) in [
        (
            "locals { a = var.b }",
            "locals: refers to b, which is not there",
        ),
        (
            r#"locals { a = "${local.b}-x" }"#,
            "locals: refers to local.b, which is not there",
        ),
        (
            "locals {\n names = { a = 1 }\n b = local.names.c\n }",
            "locals: refers to local.names.c, which is not there",
        ),
        (
            "locals { a = [for it in aws_sqs_queue.b : it.arn] }",
            "locals: refers to aws_sqs_queue.b, which is not there",
        ),
        (
            "locals { a = data.aws_partition.here.id }",
            "locals: refers to aws_partition.here, which is not there",
        ),
        (
            "locals { a = module.b.c }",
            "locals: refers to module.b, which is not there",
        ),
        (
            r#"output "a" { value = ephemeral.tls_private_key.b.pem }"#,
            "output a: refers to tls_private_key.b, which is not there",
        ),
        (
            r#"resource "t" "a" { depends_on = [t.b] }"#,
            "resource t.a: refers to t.b, which is not there",
        ),
    ] {
        let found = references::check(&Configuration::parse(text));
        assert_eq!(problems(found), [problem], "{text}");
    }
}

#[test]
fn what_for_and_dynamic_bind_is_there() {
    let text = r#"
        locals {
          a = { for key, it in { b = 1 } : key => it.c if it.d }
        }
        resource "t" "a" {
          for_each = local.a
          dynamic "x" {
            for_each = each.value
            content { y = x.value }
          }
        }
    "#;
    let found = references::check(&Configuration::parse(text));
    assert_eq!(problems(found), Vec::<String>::new());
}

#[test]
fn a_call_of_a_module_that_differs_from_it_is_found() {
    let module = r#"
        variable "needed" { type = string }
        output "here" { value = 1 }
    "#;
    let mut configuration = Configuration::parse(
        r#"
        module "m" {
          source = "./m"
          odd    = 1
        }
        locals { a = module.m.elsewhere }
    "#,
    );
    let module = Configuration::parse(module);
    configuration.modules.insert("m".to_owned(), module);
    assert_eq!(
        problems(references::check(&configuration)),
        [
            "module m: gives odd, which the module does not take",
            "module m: does not give needed",
            "locals: refers to module.m's output elsewhere, which is not there",
        ]
    );
}

#[test]
fn a_variable_that_lacks_a_part_is_found() {
    let text = "variable \"a\" {}\nvariable \"b\" {\n type = bool\n description = \"B.\"\n}\noutput \"c\" { value = 1 }";
    let configuration = Configuration::parse(text);
    assert_eq!(
        problems(variables::check(&configuration)),
        [
            "variable a: has no type",
            "variable a: has no description",
            "variable a: is not validated",
            "output c: has no description",
        ]
    );
    let example = ("x.tfvars".to_owned(), hcl::parse("a = 1\nd = 2").unwrap());
    assert_eq!(
        problems(variables::unknown(&configuration, &example)),
        ["x.tfvars: sets d, which is no variable"]
    );
}

#[test]
fn a_policy_that_allows_more_than_it_names_is_found() {
    let policy = |effect: &str, action: &str, resource: &str| {
        let text = format!(
            "resource \"p\" \"a\" {{\n policy = jsonencode({{ Statement = [{{ Effect = \"{effect}\", Action = [\"{action}\"], Resource = [\"{resource}\"] }}] }})\n}}"
        );
        problems(policies::check(&Configuration::parse(&text)))
    };
    let none: [&str; 0] = [];
    assert_eq!(policy("Allow", "sqs:SendMessage", "arn:q"), none);
    assert_eq!(policy("Allow", "logs:PutLogEvents", "arn:l:*"), none);
    assert_eq!(policy("Deny", "sqs:*", "*"), none);
    let found = "resource p.a: allows Resource \"*\": name it";
    assert_eq!(policy("Allow", "sqs:SendMessage", "*"), [found]);
    let found = "resource p.a: allows Action \"sqs:*\": name it";
    assert_eq!(policy("Allow", "sqs:*", "arn:q"), [found]);
    let principal = |condition: &str| {
        let text = format!(
            "resource \"p\" \"a\" {{\n policy = jsonencode({{ Statement = [{{ Effect = \"Allow\", Principal = \"*\", Action = [\"sqs:SendMessage\"], Resource = [\"arn:q\"], Condition = {{ StringEquals = {{ {condition} }} }} }}] }})\n}}"
        );
        problems(policies::check(&Configuration::parse(&text)))
    };
    assert_eq!(principal("\"aws:PrincipalAccount\" = \"1\""), none);
    let found = "resource p.a: allows everybody: name the principal";
    for condition in [
        "\"aws:PrincipalAccount\" = \"*\"",
        "\"aws:SourceIp\" = \"1\"",
    ] {
        assert_eq!(principal(condition), [found], "{condition}");
    }
    let found = "resource p.a: allows Resource \"arn:q:*\": name it";
    assert_eq!(policy("Allow", "sqs:SendMessage", "arn:q:*"), [found]);
}

const TABLES: &str = r#"
    const ORDERS: &str = "orders";
    fn tables() -> [(&'static str, Vec<Index>); 1] {
        [(ORDERS, vec![Index("due", ("due_shard", N), ("due_at", N), All)])]
    }
    fn all(&self) { self.enable_ttl(ORDERS); name("ttl"); }
"#;

#[test]
fn a_table_that_differs_is_found() {
    let file = syn::parse_file(TABLES).unwrap();
    let code = tables::in_code(&file, &tables::names(&file));
    let configured = |attribute: &str, projection: &str, ttl: &str| {
        let text = format!(
            "locals {{\n tables = {{ orders = {{ attributes = {{ id = \"S\", due_shard = \"{attribute}\", due_at = \"N\" }}, indexes = {{ due = {{ partition = \"due_shard\", sort = \"due_at\", projection = \"{projection}\" }} }}, ttl = {ttl} }} }}\n}}"
        );
        tables::check(&Configuration::parse(&text), &code).len()
    };
    assert_eq!(configured("N", "ALL", "\"ttl\""), 0);
    assert_eq!(configured("S", "ALL", "\"ttl\""), 1);
    assert_eq!(configured("N", "KEYS_ONLY", "\"ttl\""), 1);
    assert_eq!(configured("N", "ALL", "null"), 1);
    let found = tables::check(&Configuration::parse("locals {}"), &code);
    assert_eq!(
        problems(found),
        ["local.tables.orders: is a table of the code, and lacks here"]
    );
}

fn code() -> Code {
    let buy = Function {
        routes: set(["/buy/{*rest}", "/timers/tick", "/events/order-placed"]),
        with_token: set(["/buy/{*rest}"]),
        environment: set(["KEY", "STORE_URL", "STOCK_URL", "TUNABLES_FILE"]),
        secrets: set(["KEY"]),
        asks: [("orders".to_owned(), "GetItem")].into(),
    };
    Code {
        functions: [("buy".to_owned(), buy)].into(),
        ..Code::default()
    }
}

const DECLARED: &str = r#"
    locals {
      environment = { STORE_URL = 1 }
      secret_arns = { KEY = 1, STOCK_URL = 1 }
      declared = {
        buy = {
          routes      = ["/buy/{rest+}"]
          token       = true
          timer       = "/timers/tick"
          consumes    = "orders"
          environment = ["STORE_URL"]
          secrets     = ["KEY", "STOCK_URL"]
          tables      = { orders = ["GetItem"] }
        }
      }
    }
"#;

/// What is replaced by what in [`DECLARED`], and what is found then.
const BROKEN: &[(&str, &str, &[&str])] = &[
    (
        "/buy/{rest+}",
        "/buy",
        &[
            "has the route /buy, which the code does not have",
            "lacks the route /buy/{rest+}",
        ],
    ),
    (
        "token       = true",
        "token = false",
        &["says token = false, but in the API's document 1 of 1 routes need one"],
    ),
    (
        "/timers/tick",
        "/timers/tock",
        &[
            "has the timer /timers/tock, which the code does not have",
            "lacks the timer /timers/tick",
        ],
    ),
    ("consumes    = \"orders\"", "", &["lacks the queue orders"]),
    (
        "[\"STORE_URL\"]",
        "[\"STORE_URL\", \"PLACE\"]",
        &[
            "has the variable PLACE, which the code does not have",
            "names the variable PLACE, which has no value",
        ],
    ),
    ("[\"STORE_URL\"]", "[]", &["lacks the variable STORE_URL"]),
    (
        "[\"KEY\", \"STOCK_URL\"]",
        "[\"STOCK_URL\"]",
        &["lacks the secret KEY"],
    ),
    (
        "[\"GetItem\"]",
        "[\"GetItem\", \"PutItem\"]",
        &["has the right PutItem on orders, which the code does not have"],
    ),
    (
        "tables      = { orders = [\"GetItem\"] }",
        "",
        &["lacks the right GetItem on orders"],
    ),
];

#[test]
fn a_function_that_differs_from_the_code_is_found() {
    let check = |text: &str| problems(functions::check(&Configuration::parse(text), &code()));
    assert_eq!(check(DECLARED), Vec::<String>::new());
    for (from, to, expected) in BROKEN {
        let broken = DECLARED.replacen(from, to, 1);
        assert_ne!(broken, DECLARED, "{from}");
        let expected: Vec<String> = expected
            .iter()
            .map(|it| format!("local.declared.buy: {it}"))
            .collect();
        assert_eq!(check(&broken), expected, "{from} -> {to}");
    }
    let renamed = check(&DECLARED.replace("buy = {", "bye = {"));
    assert_eq!(
        renamed,
        [
            "local.declared.buy: is a function of the code, and lacks here",
            "local.declared.bye: is no function of the code"
        ]
    );
}

#[test]
fn a_method_of_which_nothing_is_known_is_found() {
    let code = Code {
        unclear: vec!["place".to_owned()],
        ..Code::default()
    };
    let found = problems(functions::check(&Configuration::parse(""), &code));
    assert_eq!(
        found,
        ["store::place: of this method of the store it cannot be told what it asks of DynamoDB"]
    );
}

#[test]
fn requests_are_read_from_the_adapter() {
    let orders = r#"
        impl DynamoStore {
            async fn listed(&self, listing: &Listing) { self.list(listing).await }
        }
        fn ending(order: &Order) -> Change { Change { table: ORDERS, id: 1 } }
        fn by_user(id: u8) -> Listing { Listing::of((ORDERS, "by_user"), ("user_id", 1), "id") }
        impl Orders for DynamoStore {
            async fn read(&self) { self.get(ORDERS, "x").await }
            async fn page(&self) { self.listed(&by_user(1)).await }
            async fn end(&self) {
                let mut items = vec![ending(&order).in_transaction()?];
                items.extend(claims::deletions(&order)?);
            }
            async fn nothing(&self) { 1 }
        }
    "#;
    let claims = r"
        fn deletions(order: &Order) {
            let deletion = |id| Change { table: CLAIMS, id };
            keys(order).map(|key| deletion(key).deletion_in_transaction()).collect()
        }
    ";
    let files = [("orders", orders), ("claims", claims)]
        .map(|(name, text)| (name.to_owned(), syn::parse_file(text).unwrap()));
    let names = [("ORDERS", "orders"), ("CLAIMS", "claims")]
        .map(|(constant, name)| (constant.to_owned(), name.to_owned()));
    let adapter = Adapter::new(&files, &names.into());
    let asks = |method| {
        let asks = adapter.asks(method)?;
        let asks = asks
            .into_iter()
            .map(|(table, action)| format!("{action} {table}"));
        Some(asks.collect::<Vec<_>>())
    };
    assert_eq!(asks("read").unwrap(), ["GetItem orders"]);
    assert_eq!(asks("page").unwrap(), ["Query orders/by_user"]);
    assert_eq!(
        asks("end").unwrap(),
        ["DeleteItem claims", "UpdateItem orders"]
    );
    assert_eq!(asks("nothing"), None);
}

#[test]
fn what_stands_in_a_test_is_not_met() {
    let text =
        "fn a() { join!(store.read(), b()) } #[cfg(test)] mod tests { fn c() { store.write() } }";
    let met = syntax::Met::in_file(&syn::parse_file(text).unwrap());
    let methods: Vec<String> = met.methods.iter().map(|it| it.method.to_string()).collect();
    assert_eq!(methods, ["read"]);
}

#[test]
fn a_text_that_differs_from_the_codes_is_found() {
    let code = ["AUDIENCE", "CACHE_CONTROL", "CONTENT_SECURITY_POLICY"]
        .map(|it| (it.to_owned(), it.to_lowercase()));
    let check = |audience: &str, policy: &str| {
        let text = format!(
            "locals {{\n page_cache_control = \"cache_control\"\n page_content_security_policy = \"{policy}\"\n}}\nresource \"t\" \"a\" {{\n jwt_configuration {{\n audience = [\"{audience}\"]\n }}\n}}"
        );
        problems(texts::check(
            &Configuration::parse(&text),
            &code.clone().into(),
        ))
    };
    assert_eq!(
        check("audience", "content_security_policy"),
        Vec::<String>::new()
    );
    assert_eq!(
        check("all", "content_security_policy"),
        ["jwt_configuration.audience: is not AUDIENCE of the code"]
    );
    assert_eq!(
        check("audience", "none"),
        ["local.page_content_security_policy: is not CONTENT_SECURITY_POLICY of the code"]
    );
}
