use std::collections::BTreeMap;

use http_body_util::BodyExt as _;

use super::*;

/// What arrived at a handler.
pub(super) async fn read(request: Request) -> Value {
    let (parts, body) = request.into_parts();
    let headers: BTreeMap<_, _> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    let body = body.collect().await;
    let body = body.map(|it| String::from_utf8(it.to_bytes().to_vec()).unwrap());
    json!({
        "method": parts.method.as_str(), "uri": parts.uri.to_string(), "headers": headers,
        "body": body.unwrap_or_else(|error| error.to_string()),
    })
}

/// A request as AWS documents it.
fn event(method: &str, path: &str) -> Value {
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "",
        "headers": {"accept": "*/*", "host": "api.example.org", "x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "https"},
        "requestContext": {
            "accountId": "123456789012", "apiId": "api", "domainName": "api.example.org", "requestId": "1", "stage": "$default",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "curl"},
            "time": "29/Nov/2026:00:00:00 +0000", "timeEpoch": NOW
        },
        "isBase64Encoded": false
    })
}

fn body(answer: &Value) -> Value {
    serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_request_arrives_as_its_client_sent_it() {
    let mut sent = event("POST", "/echo/a%20b/c%2Fd");
    sent["rawQueryString"] = json!("limit=5&after=%2F&limit=6");
    sent["cookies"] = json!(["one=1", "two=2"]);
    sent["headers"]["traceparent"] =
        json!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    sent["headers"]["authorization"] = json!("Bearer x");
    sent["body"] = json!("eyJxdWFudGl0eSI6MX0=");
    sent["isBase64Encoded"] = json!(true);
    let answer = invoke(sent).await.unwrap();
    assert_eq!(answer["statusCode"], 200);
    assert_eq!(answer["isBase64Encoded"], false);
    assert_eq!(answer["headers"]["cache-control"], "no-store");
    let arrived = body(&answer);
    assert_eq!(arrived["method"], "POST");
    assert_eq!(
        arrived["uri"],
        "/echo/a%20b/c%2Fd?limit=5&after=%2F&limit=6"
    );
    assert_eq!(arrived["body"], r#"{"quantity":1}"#);
    let headers = &arrived["headers"];
    assert_eq!(headers["cookie"], "one=1; two=2");
    assert_eq!(headers["authorization"], "Bearer x");
    assert_eq!(headers["x-forwarded-for"], "192.0.2.1");
    assert_eq!(
        headers["traceparent"],
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    );
}

#[tokio::test]
async fn what_no_path_may_have_is_encoded_and_stays_in_the_path() {
    for (came, arrives) in [
        ("/echo/a b", "/echo/a%20b"),
        ("/echo/ü?x=1#y", "/echo/%C3%BC%3Fx=1%23y"),
        ("/echo/100%", "/echo/100%25"),
        ("/echo/\r\n", "/echo/%0D%0A"),
    ] {
        let answer = invoke(event("GET", came)).await.unwrap();
        assert_eq!(body(&answer)["uri"], arrives);
    }
    for nonsense in ["", "*", "echo/x", "http://elsewhere/echo/x"] {
        let answer = invoke(event("GET", nonsense)).await.unwrap();
        assert_eq!(answer["statusCode"], 404, "{nonsense}");
        assert_eq!(body(&answer)["code"], "not-found");
    }
}

#[tokio::test]
async fn the_gateway_never_reaches_what_is_private() {
    let calls = Arc::default();
    for path in [
        "/events/placed",
        "/timers/sweep",
        "//events/placed",
        "/%65vents/placed",
        "/events%2Fplaced",
        "/./events/placed",
        "/echo/../events/placed",
        "/EVENTS/placed",
        "/events/",
        "/timers/unknown",
    ] {
        let mut sent = event("POST", path);
        sent["body"] = json!("good");
        let answer = invoke_counted(sent, &calls).await.unwrap();
        if !path.starts_with("/echo") {
            assert_eq!(answer["statusCode"], 404, "{path}");
            assert_eq!(
                answer["headers"]["content-type"],
                "application/problem+json"
            );
        }
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_a_problem_as_on_http() {
    let mut large = event("POST", "/echo/x");
    large["body"] = json!("a".repeat(17 * 1024));
    let mut broken = event("POST", "/echo/x");
    broken["body"] = json!("%%%");
    broken["isBase64Encoded"] = json!(true);
    let mut header = event("GET", "/echo/x");
    header["headers"]["x-y"] = json!("a\r\nb: c");
    for (sent, status, code) in [
        (event("GET", "/bug"), 500, "internal"),
        (event("DELETE", "/bug"), 405, "method-not-allowed"),
        (event("GET", "/nothing"), 404, "not-found"),
        (event("G T", "/bug"), 400, "malformed"),
        (broken, 400, "malformed"),
        (header, 400, "malformed"),
    ] {
        let answer = invoke(sent).await.unwrap();
        assert_eq!(
            (
                answer["statusCode"].as_i64(),
                body(&answer)["code"].as_str()
            ),
            (Some(status), Some(code))
        );
        assert!(!answer.to_string().contains("hunter2"));
    }
    let answer = invoke(large).await.unwrap();
    assert!(
        body(&answer)["body"]
            .as_str()
            .unwrap()
            .contains("too large")
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_that_runs_out_of_time_is_a_503() {
    let answer = invoke(event("GET", "/slow")).await.unwrap();
    assert_eq!(answer["statusCode"], 503);
    assert_eq!(body(&answer)["code"], "unavailable");
    assert!(answer["headers"]["retry-after"].is_string());
}

#[tokio::test]
async fn cookies_go_apart_and_bytes_in_base64() {
    let answer = invoke(event("GET", "/cookies")).await.unwrap();
    assert_eq!(answer["cookies"], json!(["a=1", "b=2"]));
    assert_eq!(answer["headers"]["vary"], "accept, origin");
    assert_eq!(answer["headers"]["set-cookie"], Value::Null);
    let answer = invoke(event("GET", "/bytes")).await.unwrap();
    assert_eq!(
        (&answer["body"], &answer["isBase64Encoded"]),
        (&json!("/wA="), &json!(true))
    );
}
