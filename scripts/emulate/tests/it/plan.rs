//! What is emulated is what `terraform plan` would make, as `terraform show -json` tells it
//! (<https://developer.hashicorp.com/terraform/internals/json-format>).
//!
//! The plan knows constants; what AWS makes up when it is applied, such as addresses, it only names. Which function a route
//! leads to is among that, and after how many receives a message is a dead letter. The emulated AWS is made from the text of the
//! configuration, without its expressions; what Terraform makes of it is compared here. Times of queues are shorter in these tests.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    path::Path,
};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use emulate::{
    cloud::{Cloud, VISIBILITY},
    terraform,
};
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::stage::run;

/// What is not as in the plan: tests have no time, and come from one address.
const OURS: [&str; 3] = ["BUCKET_BURST", "BUCKET_REFILL", "REPEAT_SECS"];

#[test]
fn what_is_emulated_is_what_is_planned() {
    let Some(plan) = plan() else {
        let line = "\nNOT TESTED: the emulated AWS against a plan: PLAN_JSON names none\n";
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        return;
    };
    let plan: Value = serde_json::from_str(&plan).unwrap();
    assert!(resources(&plan, "aws_lambda_function").count() > 10);
    run(|cloud| Box::pin(compare(cloud)));
}

fn plan() -> Option<String> {
    let file = std::env::var_os("PLAN_JSON")?;
    Some(std::fs::read_to_string(file).unwrap())
}

async fn compare(cloud: &Cloud) -> anyhow::Result<()> {
    let plan: Value = serde_json::from_str(&plan().context("no plan")?)?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/terraform");
    let declared = terraform::functions(&folder)?;
    functions(cloud, &plan)?;
    for (name, function) in &declared {
        let address = format!("module.function[\"{name}\"].aws_lambda_function.this");
        let planned = resources(&plan, "aws_lambda_function")
            .find(|it| it["address"] == address.as_str())
            .with_context(|| format!("{name} is not planned"))?;
        let timeout = &planned["change"]["after"]["timeout"];
        ensure!(
            *timeout == function.timeout.as_secs(),
            "{name}: {timeout} s"
        );
    }
    let routes: BTreeSet<String> = declared
        .values()
        .flat_map(|it| &it.routes)
        .map(|route| format!("ANY {route}"))
        .chain(["$default".to_owned()])
        .collect();
    let planned: BTreeSet<String> = resources(&plan, "aws_apigatewayv2_route")
        .filter_map(|it| Some(it["change"]["after"]["route_key"].as_str()?.to_owned()))
        .collect();
    ensure!(routes == planned, "routes: {routes:?}, planned {planned:?}");
    timers(&declared, &plan)?;
    queues(cloud, &folder, &declared, &plan)?;
    tables(cloud, &plan).await
}

/// Their names, memory, and what they are told.
fn functions(cloud: &Cloud, plan: &Value) -> anyhow::Result<()> {
    let mut seen = BTreeSet::new();
    for planned in resources(plan, "aws_lambda_function") {
        let address = planned["module_address"].as_str().context("no address")?;
        let name = address.split('"').nth(1).context("no name")?;
        let recipe = &cloud.function(name).recipe;
        seen.insert(name);
        let change = &planned["change"];
        ensure!(
            change["after"]["memory_size"] == recipe.memory_mb,
            "{name}: {} MB",
            recipe.memory_mb
        );
        let known = variables(&change["after"]);
        let unknown = variables(&change["after_unknown"]);
        let names: BTreeSet<&str> = known.keys().chain(unknown.keys()).copied().collect();
        let ours: BTreeSet<&str> = recipe
            .environment
            .keys()
            .map(String::as_str)
            .filter(|name| !name.starts_with("AWS_ENDPOINT_URL_"))
            .collect();
        ensure!(names == ours, "{name} is told {ours:?}, planned {names:?}");
        for (variable, value) in known {
            let ours = recipe.environment.get(variable);
            let equals = ours.is_some_and(|ours| value == ours.as_str());
            ensure!(
                equals || OURS.contains(&variable),
                "{name}: {variable} is {ours:?}, planned {value}"
            );
        }
    }
    let ours: BTreeSet<&str> = cloud.functions.keys().map(String::as_str).collect();
    ensure!(ours == seen, "functions: {ours:?}, planned {seen:?}");
    Ok(())
}

/// What the scheduler sends, and to whom.
fn timers(declared: &BTreeMap<String, terraform::Declared>, plan: &Value) -> anyhow::Result<()> {
    let ours: BTreeMap<&str, Value> = declared
        .iter()
        .filter_map(|(name, it)| Some((name.as_str(), json!({ "path": it.timer.as_ref()? }))))
        .collect();
    let mut planned = BTreeMap::new();
    for timer in resources(plan, "aws_scheduler_schedule") {
        let name = timer["index"].as_str().context("no name")?;
        let input = timer["change"]["after"]["target"][0]["input"].as_str();
        planned.insert(name, serde_json::from_str(input.context("no input")?)?);
    }
    ensure!(ours == planned, "timers: {ours:?}, planned {planned:?}");
    Ok(())
}

/// The queues, and who gets what is in them.
fn queues(
    cloud: &Cloud,
    folder: &Path,
    declared: &BTreeMap<String, terraform::Declared>,
    plan: &Value,
) -> anyhow::Result<()> {
    for (queue, name, consumer) in [
        (&cloud.orders, "orders", "order-writer"),
        (&cloud.dead_letters, "dead_letters", "dead-letter"),
    ] {
        let planned = resources(plan, "aws_sqs_queue").find(|it| it["name"] == name);
        let planned = &planned.with_context(|| format!("{name} is not planned"))?["change"];
        ensure!(planned["after"]["name"] == queue.name.as_str(), "{name}");
        let timeout = declared.get(consumer).context("no consumer")?.timeout;
        let visibility = &planned["after"]["visibility_timeout_seconds"];
        let ours = VISIBILITY * timeout;
        ensure!(*visibility == ours.as_secs(), "{name}: {visibility}");
        let mapping = resources(plan, "aws_lambda_event_source_mapping")
            .find(|it| it["index"] == consumer)
            .with_context(|| format!("nobody consumes {name}"))?;
        let mapping = &mapping["change"]["after"];
        let batch_size = terraform::queues(folder)?.batch_size;
        ensure!(mapping["batch_size"] == batch_size, "{name}: {mapping}");
        let reports = &mapping["function_response_types"];
        ensure!(*reports == json!(["ReportBatchItemFailures"]), "{mapping}");
    }
    Ok(())
}

/// Keys, indexes and expiry of all tables.
async fn tables(cloud: &Cloud, plan: &Value) -> anyhow::Result<()> {
    let mut seen = BTreeSet::new();
    for planned in resources(plan, "aws_dynamodb_table") {
        let planned = &planned["change"]["after"];
        let name = planned["name"].as_str().context("no name")?;
        seen.insert(name.to_owned());
        let table = ask(cloud, "DescribeTable", &json!({ "TableName": name })).await?;
        let table = &table["Table"];
        let shape = Shape::planned(planned);
        ensure!(
            shape == Shape::described(table),
            "{name}: {table}, planned {planned}"
        );
        let types = |attributes: &Value, name: &str, kind: &str| -> BTreeSet<String> {
            let attributes = list(attributes);
            attributes
                .map(|it| format!("{} {}", it[name], it[kind]))
                .collect()
        };
        let due = types(&planned["attribute"], "name", "type");
        let ours = types(
            &table["AttributeDefinitions"],
            "AttributeName",
            "AttributeType",
        );
        ensure!(due == ours, "{name}: {ours:?}, planned {due:?}");
        let indexes = list(&planned["global_secondary_index"]).map(Shape::planned);
        let ours = list(&table["GlobalSecondaryIndexes"]).map(Shape::described);
        let (indexes, ours): (BTreeSet<_>, BTreeSet<_>) = (indexes.collect(), ours.collect());
        ensure!(indexes == ours, "{name}: {ours:?}, planned {indexes:?}");
        let expiry = ask(cloud, "DescribeTimeToLive", &json!({ "TableName": name })).await?;
        let expiry = &expiry["TimeToLiveDescription"]["AttributeName"];
        let due = &planned["ttl"][0]["attribute_name"];
        ensure!(expiry == due, "{name} expires by {expiry}, planned {due}");
    }
    let ours = ask(cloud, "ListTables", &json!({})).await?;
    let ours = list(&ours["TableNames"]).filter_map(Value::as_str);
    let ours: BTreeSet<String> = ours.map(str::to_owned).collect();
    ensure!(ours == seen, "tables: {ours:?}, planned {seen:?}");
    Ok(())
}

/// The keys of a table or an index.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Shape {
    index: Option<String>,
    hash: String,
    range: Option<String>,
    projection: Option<String>,
}

impl Shape {
    fn planned(planned: &Value) -> Self {
        let is_index = planned.get("projection_type").is_some();
        let text = |name: &str| planned[name].as_str().map(str::to_owned);
        Self {
            index: is_index.then(|| text("name")).flatten(),
            hash: text("hash_key").unwrap_or_default(),
            range: text("range_key"),
            projection: text("projection_type"),
        }
    }

    fn described(table: &Value) -> Self {
        let key = |kind: &str| {
            let found = list(&table["KeySchema"]).find(|it| it["KeyType"] == kind);
            found.and_then(|it| Some(it["AttributeName"].as_str()?.to_owned()))
        };
        Self {
            index: table["IndexName"].as_str().map(str::to_owned),
            hash: key("HASH").unwrap_or_default(),
            range: key("RANGE"),
            projection: table["Projection"]["ProjectionType"]
                .as_str()
                .map(str::to_owned),
        }
    }
}

async fn ask(cloud: &Cloud, operation: &str, what: &Value) -> anyhow::Result<Value> {
    let request = Request::post("/")
        .header("host", "dynamodb")
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=test/20260101/eu-central-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0",
        )
        .header("x-amz-date", "20260101T000000Z")
        .body(Bytes::from(what.to_string()))?;
    let answer = cloud.tables.answer(request).await;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    let text = String::from_utf8_lossy(&body);
    ensure!(status.is_success(), "{operation} {what}: {status} {text}");
    Ok(serde_json::from_slice(&body)?)
}

/// What would be made of this type.
fn resources<'a>(plan: &'a Value, kind: &str) -> impl Iterator<Item = &'a Value> {
    list(&plan["resource_changes"]).filter(move |it| it["type"] == kind)
}

fn variables(function: &Value) -> BTreeMap<&str, &Value> {
    let variables = function["environment"][0]["variables"].as_object();
    let variables = variables.into_iter().flatten();
    variables
        .map(|(name, value)| (name.as_str(), value))
        .collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
