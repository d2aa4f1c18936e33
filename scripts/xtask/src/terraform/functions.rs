//! The map of functions, `local.declared`, against the code: names, routes, callers, environment, secrets and rights.

use std::collections::BTreeSet;

use hcl::Expression;

use super::{
    Finding,
    code::{Code, Function},
    configuration::Configuration,
    expression::{member, members, plain, texts},
};

/// Routes that a queue or a timer calls, never the gateway.
const PRIVATE: [&str; 2] = ["/events/", "/timers/"];
/// The event's route and the queue whose messages are it.
const QUEUES: &[(&str, &str)] = &[
    ("/events/order-placed", "orders"),
    ("/events/dead-letter", "dead_letters"),
];
/// Variables that a function can do without on AWS: a file of tunables is for targets with files, a cluster's are not there.
const UNUSED: &[&str] = &[
    "KNATIVE_NAMESPACE",
    "KUBERNETES_ACCOUNT_DIR",
    "KUBERNETES_SERVICE_HOST",
    "KUBERNETES_SERVICE_PORT",
    "TUNABLES_FILE",
];
/// What begins so is given by Lambda itself.
const OF_LAMBDA: &str = "AWS_";
/// It holds a password, so it is a secret although the code reads it as an address.
const SECRET_ADDRESSES: &[&str] = &["STOCK_URL"];

/// Finds functions that differ.
pub(super) fn check(configuration: &Configuration, code: &Code) -> Vec<Finding> {
    let mut found = Vec::new();
    for method in &code.unclear {
        let problem = "of this method of the store it cannot be told what it asks of DynamoDB";
        found.push(Finding::new(format!("store::{method}"), problem));
    }
    let declared = configuration
        .local("declared")
        .map(members)
        .unwrap_or_default();
    for name in code.functions.keys() {
        if !declared.iter().any(|(it, _)| it == name) {
            let problem = "is a function of the code, and lacks here";
            found.push(Finding::new(format!("local.declared.{name}"), problem));
        }
    }
    for (name, declared) in declared {
        let at = format!("local.declared.{name}");
        match code.functions.get(&name) {
            Some(function) => {
                let mut report = |problem| found.push(Finding::new(&at, problem));
                routes(declared, function, &mut report);
                environment(declared, function, configuration, &mut report);
                rights(declared, function, &mut report);
            }
            None => found.push(Finding::new(at, "is no function of the code")),
        }
    }
    found
}

fn list(declared: &Expression, name: &str) -> BTreeSet<String> {
    let list = member(declared, name).map(texts).unwrap_or_default();
    list.into_iter().collect()
}

fn compare(
    what: &str,
    here: &BTreeSet<String>,
    code: &BTreeSet<String>,
    report: &mut impl FnMut(String),
) {
    for it in here.difference(code) {
        report(format!("has the {what} {it}, which the code does not have"));
    }
    for it in code.difference(here) {
        report(format!("lacks the {what} {it}"));
    }
}

fn routes(declared: &Expression, function: &Function, report: &mut impl FnMut(String)) {
    let is_private = |route: &&String| PRIVATE.iter().any(|it| route.starts_with(it));
    let (private, public): (BTreeSet<&String>, BTreeSet<&String>) =
        function.routes.iter().partition(is_private);
    // The gateway's `{path+}` is the code's `{*path}`.
    let public: BTreeSet<String> = public.into_iter().map(|it| gateway(it)).collect();
    compare("route", &list(declared, "routes"), &public, report);
    let token = matches!(member(declared, "token"), Some(Expression::Bool(true)));
    let needs_token = !function.with_token.is_empty();
    if token != needs_token || needs_token && function.with_token.len() != public.len() {
        report(format!(
            "says token = {token}, but in the API's document {} of {} routes need one",
            function.with_token.len(),
            public.len()
        ));
    }
    let timer: BTreeSet<String> = member(declared, "timer")
        .and_then(plain)
        .into_iter()
        .collect();
    let timers = private.iter().filter(|it| it.starts_with("/timers/"));
    compare(
        "timer",
        &timer,
        &timers.map(ToString::to_string).collect(),
        report,
    );
    let consumes: BTreeSet<String> = member(declared, "consumes")
        .and_then(plain)
        .into_iter()
        .collect();
    let queues = QUEUES
        .iter()
        .filter(|(route, _)| function.routes.contains(*route));
    compare(
        "queue",
        &consumes,
        &queues.map(|(_, queue)| (*queue).to_owned()).collect(),
        report,
    );
    for event in private.iter().filter(|it| it.starts_with("/events/")) {
        if !QUEUES.iter().any(|(route, _)| route == *event) {
            report(format!(
                "takes the event {event}, for which there is no queue"
            ));
        }
    }
}

fn gateway(route: &str) -> String {
    match route.split_once("{*") {
        Some((before, after)) => format!("{before}{{{}", after.replace('}', "+}")),
        None => route.to_owned(),
    }
}

fn environment(
    declared: &Expression,
    function: &Function,
    configuration: &Configuration,
    report: &mut impl FnMut(String),
) {
    let is_secret = |name: &String| {
        function.secrets.contains(name) || SECRET_ADDRESSES.contains(&name.as_str())
    };
    let (secrets, plain): (BTreeSet<String>, BTreeSet<String>) = function
        .environment
        .iter()
        .filter(|it| !UNUSED.contains(&it.as_str()) && !it.starts_with(OF_LAMBDA))
        .cloned()
        .partition(is_secret);
    for (what, attribute, code, values) in [
        ("variable", "environment", plain, "environment"),
        ("secret", "secrets", secrets, "secret_arns"),
    ] {
        let here = list(declared, attribute);
        compare(what, &here, &code, report);
        let values = configuration.local(values).map(members).unwrap_or_default();
        for name in here
            .iter()
            .filter(|name| !values.iter().any(|(it, _)| it == *name))
        {
            report(format!("names the {what} {name}, which has no value"));
        }
    }
}

fn rights(declared: &Expression, function: &Function, report: &mut impl FnMut(String)) {
    let tables = member(declared, "tables").map(members).unwrap_or_default();
    let here = tables.iter().flat_map(|(table, actions)| {
        let actions = texts(actions).into_iter();
        actions.map(move |action| format!("{action} on {table}"))
    });
    let code = function
        .asks
        .iter()
        .map(|(table, action)| format!("{action} on {table}"));
    compare("right", &here.collect(), &code.collect(), report);
}
