//! What `infra/terraform` says of the functions: the emulated AWS is set up by the same text as the real one.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Context as _, ensure};
use hcl::{Body, Expression, ObjectKey};

/// `functions.tf`, where a function says nothing about it.
const MEMORY_MB: u32 = 256;
const TIMEOUT_SECS: u64 = 10;

/// An entry of `local.declared` in `functions.tf`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Its routes at the gateway, such as `/spikes/{spike_id}`.
    pub routes: Vec<String>,
    /// The path that the scheduler sends.
    pub timer: Option<String>,
    /// The queue whose messages it gets.
    pub consumes: Option<String>,
    /// Variables that it is told.
    pub environment: Vec<String>,
    /// Secrets that it reads by their ARNs.
    pub secrets: Vec<String>,
    /// Memory.
    pub memory_mb: u32,
    /// How long an invocation may take.
    pub timeout: Duration,
}

/// What `queue.tf` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queues {
    /// How often a message is received before it is a dead letter.
    pub receives_max: u32,
    /// How many messages an invocation gets at most.
    pub batch_size: usize,
}

/// Reads the map of functions of the configuration in `folder`.
pub fn functions(folder: &Path) -> anyhow::Result<BTreeMap<String, Declared>> {
    let body = read(&folder.join("functions.tf"))?;
    let locals = body.blocks().filter(|block| block.identifier() == "locals");
    let mut attributes = locals.flat_map(|block| block.body().attributes());
    let declared = attributes.find(|attribute| attribute.key() == "declared");
    let declared = declared
        .context("functions.tf has no local.declared")?
        .expr();
    let Expression::Object(functions) = declared else {
        anyhow::bail!("local.declared is no object");
    };
    let mut found = BTreeMap::new();
    for (name, function) in functions {
        let function = Declared {
            routes: texts(member(function, "routes")),
            timer: member(function, "timer").and_then(text),
            consumes: member(function, "consumes").and_then(text),
            environment: texts(member(function, "environment")),
            secrets: texts(member(function, "secrets")),
            memory_mb: match member(function, "memory_mb").and_then(number) {
                Some(memory_mb) => u32::try_from(memory_mb)?,
                None => MEMORY_MB,
            },
            timeout: Duration::from_secs(
                member(function, "timeout_secs")
                    .and_then(number)
                    .unwrap_or(TIMEOUT_SECS),
            ),
        };
        found.insert(key(name).context("a function without a name")?, function);
    }
    ensure!(!found.is_empty(), "local.declared is empty");
    Ok(found)
}

/// Reads the settings of the queues.
pub fn queues(folder: &Path) -> anyhow::Result<Queues> {
    let body = read(&folder.join("queue.tf"))?;
    let resource = |kind: &str, name: &str| {
        let mut blocks = body.blocks();
        let found = blocks.find(|block| {
            let labels: Vec<&str> = block.labels().iter().map(hcl::BlockLabel::as_str).collect();
            block.identifier() == "resource" && labels == [kind, name]
        });
        found.with_context(|| format!("queue.tf has no {kind}.{name}"))
    };
    let value = |block: &hcl::Block, name: &str| {
        let mut attributes = block.body().attributes();
        let found = attributes.find(|attribute| attribute.key() == name);
        found.map(|attribute| attribute.expr().clone())
    };
    let redrive = value(resource("aws_sqs_queue", "orders")?, "redrive_policy");
    let Some(Expression::FuncCall(encoded)) = redrive else {
        anyhow::bail!("the queue of orders has no redrive policy");
    };
    let receives_max = encoded
        .args
        .first()
        .and_then(|policy| member(policy, "maxReceiveCount"));
    let mapping = resource("aws_lambda_event_source_mapping", "queue")?;
    let reports = value(mapping, "function_response_types");
    ensure!(
        texts(reports.as_ref()) == ["ReportBatchItemFailures"],
        "the functions of queues do not report which items failed"
    );
    let batch_size = value(mapping, "batch_size");
    Ok(Queues {
        receives_max: receives_max
            .and_then(number)
            .and_then(|it| u32::try_from(it).ok())
            .context("no maxReceiveCount")?,
        batch_size: batch_size
            .as_ref()
            .and_then(number)
            .and_then(|it| usize::try_from(it).ok())
            .context("no batch_size")?,
    })
}

fn read(file: &Path) -> anyhow::Result<Body> {
    let shown = || file.display().to_string();
    let text = std::fs::read_to_string(file).with_context(shown)?;
    hcl::parse(&text).with_context(shown)
}

fn key(key: &ObjectKey) -> Option<String> {
    match key {
        ObjectKey::Identifier(name) => Some(name.to_string()),
        ObjectKey::Expression(expression) => text(expression),
        _ => None,
    }
}

fn member<'a>(object: &'a Expression, name: &str) -> Option<&'a Expression> {
    let Expression::Object(object) = object else {
        return None;
    };
    let mut members = object.iter();
    let found = members.find(|(it, _)| key(it).as_deref() == Some(name));
    found.map(|(_, value)| value)
}

fn text(expression: &Expression) -> Option<String> {
    match expression {
        Expression::String(text) => Some(text.clone()),
        _ => None,
    }
}

fn number(expression: &Expression) -> Option<u64> {
    match expression {
        Expression::Number(number) => number.as_u64(),
        _ => None,
    }
}

fn texts(expression: Option<&Expression>) -> Vec<String> {
    match expression {
        Some(Expression::Array(items)) => items.iter().filter_map(text).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/terraform")
    }

    #[test]
    fn the_map_of_functions_is_read_as_it_stands() {
        let functions = functions(&folder()).unwrap();
        let spike = &functions["spike"];
        assert_eq!(spike.routes, ["/spikes/{spike_id}/orders/{token}"]);
        assert_eq!(spike.memory_mb, 512);
        assert_eq!(spike.timeout, Duration::from_secs(10));
        assert!(spike.secrets.contains(&"STOCK_URL".to_owned()));
        let writer = &functions["order-writer"];
        assert_eq!(writer.consumes.as_deref(), Some("orders"));
        assert!(writer.routes.is_empty());
        assert_eq!(functions["sweeper"].timer.as_deref(), Some("/timers/sweep"));
    }

    #[test]
    fn queues_report_items_and_redrive() {
        let queues = queues(&folder()).unwrap();
        assert_eq!((queues.receives_max, queues.batch_size), (10, 10));
    }
}
