//! A request of the gateway to the router's request, and the router's answer to the gateway's.

use std::{collections::BTreeMap, fmt::Write as _};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version, header},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::{Failure, event::GatewayRequest, failure};
use crate::problem::{Code, Problem};

/// The request as its client sent it. A stage other than `$default` would be part of its path; ours is `$default`.
pub(super) fn request(event: GatewayRequest) -> Result<Request, Problem> {
    let malformed = |_| Problem::new(Code::Malformed);
    let body = match event.body {
        Some(body) if event.is_base64_encoded => {
            let body = STANDARD.decode(body);
            body.map_err(|_| Problem::new(Code::Malformed).detail("The body broke off."))?
        }
        body => body.unwrap_or_default().into_bytes(),
    };
    let method = &event.request_context.http.method;
    let mut request = Request::new(Body::from(body));
    *request.method_mut() =
        Method::from_bytes(method.as_bytes()).map_err(|_| Problem::new(Code::Malformed))?;
    *request.uri_mut() = uri(&event.raw_path, &event.raw_query_string)?;
    // No field of a connection is to be set: the connection is the gateway's.
    *request.version_mut() = Version::HTTP_2;
    let headers = request.headers_mut();
    for (name, value) in event.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_bytes(value.as_bytes());
        headers.append(
            name.map_err(|_| Problem::new(Code::Malformed))?,
            value.map_err(|_| Problem::new(Code::Malformed))?,
        );
    }
    if !event.cookies.is_empty() {
        let cookies = event.cookies.join("; ");
        headers.insert(
            header::COOKIE,
            HeaderValue::try_from(cookies).map_err(malformed)?,
        );
    }
    Ok(request)
}

/// Path and query as they came. The gateway decodes some paths: what no URI may have in its path is encoded again, so that no
/// path can break out of it.
fn uri(path: &str, query: &str) -> Result<Uri, Problem> {
    let mut uri = String::with_capacity(path.len() + 1 + query.len());
    encode(path, b"", &mut uri);
    if !query.is_empty() {
        uri.push('?');
        encode(query, b"?", &mut uri);
    }
    let parsed = uri
        .parse::<Uri>()
        .ok()
        .filter(|it| it.path().starts_with('/') && it.authority().is_none());
    parsed.ok_or_else(|| Problem::new(Code::NotFound))
}

/// Appends `text`, with everything encoded that is not allowed in a path (RFC 3986, section 3.3) or is among `besides`.
fn encode(text: &str, besides: &[u8], uri: &mut String) {
    let bytes = text.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        let is_escape = || {
            let digits = bytes.get(at + 1..at + 3);
            digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        };
        let stays = byte.is_ascii_alphanumeric()
            || b"-._~!$&'()*+,;=:@/".contains(&byte)
            || besides.contains(&byte)
            || (byte == b'%' && is_escape());
        if stays {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
}

/// The answer in payload format 2.0: text as it is, anything else in base64; cookies apart, other fields of one name joined.
pub(super) async fn answer(response: Response) -> Result<Value, Failure> {
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let body = collect(response).await?;
    let (body, is_base64) = match String::from_utf8(body.into()) {
        Ok(text) => (text, false),
        Err(other) => (STANDARD.encode(other.as_bytes()), true),
    };
    let mut answer = json!({
        "statusCode": status,
        "headers": fields(&headers),
        "body": body,
        "isBase64Encoded": is_base64,
    });
    let cookies: Vec<_> = headers
        .get_all(header::SET_COOKIE)
        .iter()
        .map(text)
        .collect();
    if !cookies.is_empty() {
        answer["cookies"] = cookies.into();
    }
    Ok(answer)
}

/// The whole body.
pub(super) async fn collect(response: Response) -> Result<Bytes, Failure> {
    let body = response.into_body().collect().await;
    body.map(http_body_util::Collected::to_bytes)
        .map_err(|error| failure("AnswerBroken", format!("the answer broke off: {error}")))
}

fn fields(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::<String, String>::new();
    for (name, value) in headers
        .iter()
        .filter(|(name, _)| *name != header::SET_COOKIE)
    {
        let field = fields.entry(name.as_str().to_owned()).or_default();
        if !field.is_empty() {
            field.push_str(", ");
        }
        field.push_str(&text(value));
    }
    fields
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}
