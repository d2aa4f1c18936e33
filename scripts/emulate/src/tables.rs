//! DynamoDB: the embedded engine, behind a proxy that counts what requests cost and can be told to fail.
//!
//! The engine answers as DynamoDB does but is never busy. Throttling and transactions that get in each other's way are
//! therefore injected (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>).

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use r#break::tap::Forwarder;
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Map, Value, json};

use crate::{
    http::{Answer, json_answer, message},
    lambda::lock,
};

const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// How the service fails.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Trouble {
    /// It does not.
    #[default]
    None,
    /// So many of ten requests are throttled.
    Throttled(u64),
    /// So many of ten transactions meet another one.
    Conflicts(u64),
    /// Whatever is written and has one of these texts in it is throttled.
    ThrottledWith(Vec<String>),
}

/// What requests of one kind have cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cost {
    /// How many there were.
    pub requests: u64,
    /// Read units of tables and indexes.
    pub reads: f64,
    /// Write units of tables.
    pub writes: f64,
    /// Write units of indexes.
    pub index_writes: f64,
}

/// Who asked for what: the function's name, and the operation.
pub type Kind = (String, String);

/// The service.
pub struct Tables {
    engine: u16,
    forwarder: Forwarder,
    trouble: Mutex<Trouble>,
    requests: AtomicU64,
    troubled: AtomicU64,
    costs: Mutex<BTreeMap<Kind, Cost>>,
}

impl Tables {
    /// In front of an engine on this port of the loopback address.
    #[must_use]
    pub fn new(engine: u16) -> Self {
        Self {
            engine,
            forwarder: Forwarder::default(),
            trouble: Mutex::default(),
            requests: AtomicU64::new(0),
            troubled: AtomicU64::new(0),
            costs: Mutex::default(),
        }
    }

    /// From now on.
    pub fn set(&self, trouble: Trouble) {
        self.troubled.store(0, Ordering::Relaxed);
        *lock(&self.trouble) = trouble;
    }

    /// How many requests have failed since the trouble was set.
    #[must_use]
    pub fn troubled(&self) -> u64 {
        self.troubled.load(Ordering::Relaxed)
    }

    /// What was asked since this was last called, and what it has cost.
    #[must_use]
    pub fn costs(&self) -> BTreeMap<Kind, Cost> {
        std::mem::take(&mut *lock(&self.costs))
    }

    /// Answers a request.
    pub async fn answer(&self, mut request: Request<Bytes>) -> Answer {
        let operation = operation(&request);
        let mut asked: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        if let Some(answer) = self.trouble(&operation, &asked) {
            self.troubled.fetch_add(1, Ordering::Relaxed);
            return answer;
        }
        if operation_costs(&operation)
            && let Some(fields) = asked.as_object_mut()
        {
            fields.insert("ReturnConsumedCapacity".to_owned(), "INDEXES".into());
            let body = Bytes::from(asked.to_string());
            request
                .headers_mut()
                .insert(header::CONTENT_LENGTH, body.len().into());
            *request.body_mut() = body;
        }
        let caller = caller(&request);
        match self.forwarder.forward(self.engine, &request).await {
            Ok(answer) => self.count((caller, operation), answer).await,
            Err(_) => message(StatusCode::SERVICE_UNAVAILABLE, "the engine is away"),
        }
    }

    async fn count(&self, kind: Kind, answer: Answer) -> Answer {
        let (head, body) = answer.into_parts();
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(never) => match never {},
        };
        let answered: Value = serde_json::from_slice(&body).unwrap_or_default();
        let is_write = is_write(&kind.1);
        let mut costs = lock(&self.costs);
        let cost = costs.entry(kind).or_default();
        cost.requests += 1;
        match &answered["ConsumedCapacity"] {
            Value::Array(tables) => tables.iter().for_each(|table| cost.add(table, is_write)),
            table => cost.add(table, is_write),
        }
        drop(costs);
        Answer::from_parts(head, Full::new(body))
    }

    fn trouble(&self, operation: &str, asked: &Value) -> Option<Answer> {
        let trouble = lock(&self.trouble).clone();
        let of_ten = |count: u64| self.requests.fetch_add(1, Ordering::Relaxed) % 10 < count;
        match trouble {
            Trouble::Throttled(count) => of_ten(count).then(throttled),
            Trouble::Conflicts(count) if operation == "TransactWriteItems" => {
                of_ten(count).then(|| conflict(asked))
            }
            Trouble::ThrottledWith(texts) if is_write(operation) => {
                let body = asked.to_string();
                let meant = texts.iter().any(|text| body.contains(text.as_str()));
                meant.then(throttled)
            }
            Trouble::None | Trouble::Conflicts(_) | Trouble::ThrottledWith(_) => None,
        }
    }
}

impl Cost {
    /// Adds what a request has cost in one table. Not every answer tells read from write units, the operation does.
    fn add(&mut self, table: &Value, is_write: bool) {
        let units = |of: &Value| of["CapacityUnits"].as_f64().unwrap_or(0.0);
        let of_table = units(&table["Table"]);
        let indexes = ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"];
        let indexes = indexes.iter().filter_map(|name| table[name].as_object());
        let of_indexes: f64 = indexes.flat_map(Map::values).map(units).sum();
        if is_write {
            self.writes += of_table;
            self.index_writes += of_indexes;
        } else {
            self.reads += of_table + of_indexes;
        }
    }
}

fn operation(request: &Request<Bytes>) -> String {
    let target = request.headers().get("x-amz-target");
    let target = target.and_then(|it| it.to_str().ok()).unwrap_or_default();
    target.rsplit('.').next().unwrap_or_default().to_owned()
}

fn is_write(operation: &str) -> bool {
    [
        "PutItem",
        "UpdateItem",
        "DeleteItem",
        "BatchWriteItem",
        "TransactWriteItems",
    ]
    .contains(&operation)
}

fn operation_costs(operation: &str) -> bool {
    operation.contains("Item") || ["Query", "Scan"].contains(&operation)
}

/// The function by whose credentials a request is signed: `Credential=ASIA-NAME/..`.
fn caller(request: &Request<Bytes>) -> String {
    let signed = request.headers().get(header::AUTHORIZATION);
    let signed = signed.and_then(|it| it.to_str().ok()).unwrap_or_default();
    let key = signed.split("Credential=").nth(1).unwrap_or_default();
    let key = key.split('/').next().unwrap_or_default();
    key.strip_prefix("ASIA-").unwrap_or(key).to_owned()
}

fn throttled() -> Answer {
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException",
        "message": "Throughput exceeds the current capacity of your table or index.",
    });
    json_answer(StatusCode::BAD_REQUEST, CONTENT_TYPE, &body)
}

/// Of the items of a transaction, the first is in another one.
fn conflict(asked: &Value) -> Answer {
    let items = asked["TransactItems"].as_array().map_or(1, Vec::len);
    let reasons = (0..items).map(|index| match index {
        0 => json!({ "Code": "TransactionConflict", "Message": "Transaction is ongoing for the item" }),
        _ => json!({ "Code": "None" }),
    });
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons [TransactionConflict]",
        "CancellationReasons": reasons.collect::<Vec<_>>(),
    });
    json_answer(StatusCode::BAD_REQUEST, CONTENT_TYPE, &body)
}
