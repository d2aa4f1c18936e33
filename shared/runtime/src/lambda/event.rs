//! What an invocation can be, told apart by its shape.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

/// An invocation.
#[derive(Debug)]
pub(super) enum Event {
    /// A request of an HTTP API.
    Request(Box<GatewayRequest>),
    /// Messages of a queue.
    Messages(Vec<Message>),
    /// The path of a timer that is due.
    Timer(String),
}

/// A request as an HTTP API of API Gateway hands it over, payload format 2.0
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>):
/// ```json
/// {"version": "2.0", "rawPath": "/spikes", "rawQueryString": "a=1&a=2", "cookies": ["c=1"],
///  "headers": {"accept": "*/*", "x-forwarded-for": "192.0.2.1"},
///  "requestContext": {"http": {"method": "GET"}, "stage": "$default"},
///  "body": "eyJ9", "isBase64Encoded": true}
/// ```
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GatewayRequest {
    pub(super) raw_path: String,
    #[serde(default)]
    pub(super) raw_query_string: String,
    #[serde(default)]
    pub(super) cookies: Vec<String>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    pub(super) request_context: RequestContext,
    #[serde(default)]
    pub(super) body: Option<String>,
    #[serde(default)]
    pub(super) is_base64_encoded: bool,
}

/// What the gateway knows of a request.
#[derive(Debug, Deserialize)]
pub(super) struct RequestContext {
    pub(super) http: HttpContext,
}

/// The request's first line; its path is not read, since the raw one is the client's.
#[derive(Debug, Deserialize)]
pub(super) struct HttpContext {
    pub(super) method: String,
}

/// A message of a queue (<https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>):
/// ```json
/// {"messageId": "059f36b4", "body": "{...}", "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-central-1:1:orders",
///  "attributes": {"ApproximateReceiveCount": "1"},
///  "messageAttributes": {"traceparent": {"stringValue": "00-...", "dataType": "String"}}}
/// ```
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "they are AWS' names")]
pub(super) struct Message {
    pub(super) message_id: String,
    pub(super) body: String,
    pub(super) event_source: String,
    #[serde(rename = "eventSourceARN", default)]
    pub(super) event_source_arn: String,
    #[serde(default)]
    pub(super) attributes: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) message_attributes: BTreeMap<String, MessageAttribute>,
}

/// What a sender has put on a message beside its body.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MessageAttribute {
    #[serde(default)]
    pub(super) string_value: Option<String>,
}

/// An invocation that is none of those that are known. Never quotes what came.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnknownEvent {
    /// No key of it says what it is.
    #[error("neither a request of an HTTP API (payload 2.0) nor messages of SQS nor a timer")]
    Shape,
    /// It says what it is, and lacks something.
    #[error("not a whole {0}")]
    Incomplete(&'static str, #[source] serde_json::Error),
    /// Records of something else than SQS, or none.
    #[error("not records of SQS")]
    Records,
}

impl Event {
    pub(super) fn read(payload: Value) -> Result<Self, UnknownEvent> {
        let Value::Object(mut fields) = payload else {
            return Err(UnknownEvent::Shape);
        };
        if let Some(records) = fields.remove("Records") {
            return messages(records);
        }
        if is_of_gateway(&fields) {
            let request = serde_json::from_value(Value::Object(fields));
            return request
                .map(|request| Self::Request(Box::new(request)))
                .map_err(|error| UnknownEvent::Incomplete("request", error));
        }
        // Nothing else: a request of another kind of gateway has a `path`, too.
        match fields.remove("path") {
            Some(Value::String(path)) if fields.is_empty() => Ok(Self::Timer(path)),
            _ => Err(UnknownEvent::Shape),
        }
    }
}

fn is_of_gateway(fields: &Map<String, Value>) -> bool {
    let version = fields.get("version").and_then(Value::as_str);
    version == Some("2.0") && fields.contains_key("requestContext")
}

fn messages(records: Value) -> Result<Event, UnknownEvent> {
    let messages: Vec<Message> = serde_json::from_value(records)
        .map_err(|error| UnknownEvent::Incomplete("batch of SQS", error))?;
    if messages.is_empty() || messages.iter().any(|it| it.event_source != "aws:sqs") {
        return Err(UnknownEvent::Records);
    }
    Ok(Event::Messages(messages))
}
