//! Requests to events, and results to answers, in payload format 2.0.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{ACCOUNT, http::Answer};

const API_ID: &str = "emulated";
/// Fields that are between client and gateway.
const HOP: [HeaderName; 5] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::TE,
    header::UPGRADE,
    header::EXPECT,
];

/// The event of a request.
pub(super) fn event(route: &str, request: &Request<Bytes>) -> Value {
    let uri = request.uri();
    let (mut headers, cookies) = headers(request.headers());
    let host = headers
        .get("host")
        .and_then(Value::as_str)
        .unwrap_or("localhost")
        .to_owned();
    for (name, value) in [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-port", "80"),
        ("x-forwarded-proto", "http"),
    ] {
        headers.insert(name.to_owned(), value.into());
    }
    let now = runtime::clock::system()();
    let agent = headers
        .get("user-agent")
        .cloned()
        .unwrap_or_else(|| "".into());
    let mut event = json!({
        "version": "2.0",
        "routeKey": route,
        "rawPath": uri.path(),
        "rawQueryString": uri.query().unwrap_or(""),
        "headers": headers,
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": API_ID,
            "domainName": host,
            "domainPrefix": API_ID,
            "http": {
                "method": request.method().as_str(),
                "path": uri.path(),
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": agent,
            },
            "requestId": crate::request_id(),
            "routeKey": route,
            "stage": "$default",
            "time": now.to_string(),
            "timeEpoch": now.as_millis(),
        },
        "isBase64Encoded": false,
    });
    if !cookies.is_empty() {
        event["cookies"] = cookies.into();
    }
    if !request.body().is_empty() {
        let (body, encoded) = body(request);
        event["body"] = body.into();
        event["isBase64Encoded"] = encoded.into();
    }
    event
}

/// Field names in lower case, several values of one joined by commas; cookies apart.
fn headers(headers: &HeaderMap) -> (Map<String, Value>, Vec<String>) {
    let mut joined = Map::new();
    for name in headers
        .keys()
        .filter(|name| !HOP.contains(name) && *name != header::COOKIE)
    {
        let values = headers.get_all(name).iter();
        // What is not UTF-8 cannot be in JSON.
        let values: Vec<_> = values
            .map(|it| String::from_utf8_lossy(it.as_bytes()))
            .collect();
        joined.insert(name.as_str().to_owned(), values.join(",").into());
    }
    let cookies = headers.get_all(header::COOKIE).iter();
    let cookies = cookies.filter_map(|it| it.to_str().ok());
    let cookies = cookies.flat_map(|it| it.split("; ").map(str::to_owned));
    (joined, cookies.collect())
}

/// A body that is text goes as it is, any other in base64.
fn body(request: &Request<Bytes>) -> (String, bool) {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|it| it.to_str().ok()).unwrap_or("");
    let kind = kind
        .split(';')
        .next()
        .unwrap_or("")
        .trim()
        .to_ascii_lowercase();
    let is_text = kind.starts_with("text/")
        || kind.ends_with("+json")
        || [
            "application/json",
            "application/javascript",
            "application/xml",
        ]
        .contains(&kind.as_str());
    match std::str::from_utf8(request.body()) {
        Ok(text) if is_text => (text.to_owned(), false),
        _ => (STANDARD.encode(request.body()), true),
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    status_code: u16,
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(default)]
    cookies: Vec<String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

/// The answer that a result stands for; none if the gateway cannot read it. A result without a status is the body itself.
pub(super) fn answer(result: &[u8]) -> Option<Answer> {
    let value: Value = serde_json::from_slice(result).ok()?;
    if value.get("statusCode").is_none() {
        let mut answer = Response::new(Full::new(Bytes::copy_from_slice(result)));
        let json = HeaderValue::from_static("application/json");
        answer.headers_mut().insert(header::CONTENT_TYPE, json);
        return Some(answer);
    }
    let outcome: Outcome = serde_json::from_value(value).ok()?;
    let body = outcome.body.unwrap_or_default();
    let body = if outcome.is_base64_encoded {
        STANDARD.decode(body).ok()?
    } else {
        body.into_bytes()
    };
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = StatusCode::from_u16(outcome.status_code).ok()?;
    for (name, value) in &outcome.headers {
        let name: HeaderName = name.parse().ok()?;
        let value = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if !HOP.contains(&name) && name != header::CONTENT_LENGTH {
            answer.headers_mut().append(name, value.parse().ok()?);
        }
    }
    for cookie in &outcome.cookies {
        answer
            .headers_mut()
            .append(header::SET_COOKIE, cookie.parse().ok()?);
    }
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(content_type: &str, body: &'static [u8]) -> Request<Bytes> {
        Request::post("/orders/1/pay?x=1&y=%20")
            .header("Host", "api.example")
            .header("Content-Type", content_type)
            .header("X-Two", "a")
            .header("X-Two", "b")
            .header("Cookie", "c=1; d=2")
            .header("Connection", "keep-alive")
            .body(Bytes::from_static(body))
            .unwrap()
    }

    #[test]
    fn a_request_becomes_an_event_of_format_2() {
        let event = event(
            "ANY /orders/{order_id}/pay",
            &request("application/json", b"{}"),
        );
        assert_eq!(event["rawPath"], "/orders/1/pay");
        assert_eq!(event["rawQueryString"], "x=1&y=%20");
        assert_eq!(event["headers"]["x-two"], "a,b");
        assert_eq!(event["headers"]["connection"], Value::Null);
        assert_eq!(event["cookies"], json!(["c=1", "d=2"]));
        assert_eq!(event["requestContext"]["http"]["method"], "POST");
        assert_eq!(
            (&event["body"], &event["isBase64Encoded"]),
            (&json!("{}"), &json!(false))
        );
    }

    #[test]
    fn a_body_that_is_no_text_is_in_base64() {
        for (content_type, body) in [
            ("application/x-ndjson", &b"{}"[..]),
            ("application/json", &b"\xff"[..]),
        ] {
            let event = event("$default", &request(content_type, body));
            assert_eq!(event["isBase64Encoded"], true, "{content_type}");
            assert_eq!(event["body"], STANDARD.encode(body));
        }
    }

    #[test]
    fn a_result_becomes_an_answer() {
        let result = json!({
            "statusCode": 201,
            "headers": { "location": "/x" },
            "cookies": ["a=1"],
            "body": STANDARD.encode("hello"),
            "isBase64Encoded": true,
        });
        let made = answer(result.to_string().as_bytes()).unwrap();
        assert_eq!(made.status(), 201);
        assert_eq!(made.headers()["location"], "/x");
        assert_eq!(made.headers()["set-cookie"], "a=1");
        assert!(answer(b"not JSON").is_none());
        assert!(answer(br#"{"statusCode":"200"}"#).is_none());
    }
}
