//! The API's document: its operations, the answers that each lists, and whether an answer is one of them.

use http::{HeaderMap, header};
use serde_json::Value;

use crate::{client::Answer, schema};

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

/// Header fields that an operation has to list before its answers may carry them. Of `Cache-Control` this holds unless
/// it is `no-store`, which every answer may say.
const LISTED: [header::HeaderName; 6] = [
    header::RETRY_AFTER,
    header::LOCATION,
    header::ETAG,
    header::WWW_AUTHENTICATE,
    header::ALLOW,
    header::CACHE_CONTROL,
];

/// An `OpenAPI` document.
#[derive(Debug, Clone)]
pub struct Document {
    json: Value,
}

/// One method of one path.
#[derive(Debug, Clone, Copy)]
pub struct Operation<'a> {
    /// In small letters, as the document has it.
    pub method: &'a str,
    /// With its parameters in braces.
    pub path: &'a str,
    json: &'a Value,
}

impl Document {
    /// Reads nothing yet: what is not there is found missing when it is asked for.
    #[must_use]
    pub fn new(json: Value) -> Self {
        Self { json }
    }

    /// All operations.
    #[must_use]
    pub fn operations(&self) -> Vec<Operation<'_>> {
        let paths = self.json["paths"].as_object().into_iter().flatten();
        let operations = paths.flat_map(|(path, item)| {
            let found = METHODS.iter().filter_map(move |method| {
                let json = item.get(method)?;
                Some(Operation { method, path, json })
            });
            found.collect::<Vec<_>>()
        });
        operations.collect()
    }

    /// The operation that takes this request; of two that could, the one with fewer parameters.
    #[must_use]
    pub fn find(&self, method: &str, path: &str) -> Option<Operation<'_>> {
        let method = method.to_ascii_lowercase();
        let path = path.split('?').next().unwrap_or_default();
        let operations = self.operations().into_iter();
        let fitting = operations.filter(|it| it.method == method && fits(it.path, path));
        fitting.min_by_key(|it| it.path.matches('{').count())
    }

    /// Whether any operation has this path.
    #[must_use]
    pub fn knows(&self, path: &str) -> bool {
        METHODS
            .iter()
            .any(|method| self.find(method, path).is_some())
    }

    /// Checks an answer against what the operation lists: status, content type, problem code, header fields, body.
    pub fn check(&self, operation: Operation<'_>, answer: &Answer) -> Result<(), String> {
        let status = answer.status.as_u16().to_string();
        let listed = &operation.json["responses"][&status];
        if listed.is_null() {
            return Err(format!("the status {status} is not listed"));
        }
        check_headers(listed, &answer.headers)?;
        let Some(contents) = listed["content"].as_object() else {
            return if answer.body.is_empty() {
                Ok(())
            } else {
                Err("a body is not listed".to_owned())
            };
        };
        let content_type = answer.header("content-type").unwrap_or_default();
        let content = contents.get(content_type);
        let content =
            content.ok_or_else(|| format!("the content type {content_type:?} is not listed"))?;
        if let Some(code) = answer.code()
            && content["examples"].get(&code).is_none()
        {
            return Err(format!("the code {code} is not listed for {status}"));
        }
        if content_type.ends_with("json") {
            let value = serde_json::from_slice(&answer.body).map_err(|it| it.to_string())?;
            schema::check(&self.json, &content["schema"], &value)?;
        }
        Ok(())
    }
}

impl Operation<'_> {
    /// How tables name it: `post /users`.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Every answer that it lists by its status: `201`, or `409 sold-out` where the answer is a problem.
    #[must_use]
    pub fn outcomes(&self) -> Vec<String> {
        let responses = self.json["responses"].as_object().into_iter().flatten();
        let outcomes = responses.filter(|(status, _)| *status != "default");
        let outcomes = outcomes.flat_map(|(status, response)| {
            let problems = &response["content"]["application/problem+json"]["examples"];
            match problems.as_object() {
                Some(codes) => codes.keys().map(|it| format!("{status} {it}")).collect(),
                None => vec![status.clone()],
            }
        });
        outcomes.collect()
    }

    /// The content type of its body, if it takes one.
    #[must_use]
    pub fn takes(&self) -> Option<&str> {
        let contents = self.json["requestBody"]["content"].as_object()?;
        contents.keys().next().map(String::as_str)
    }

    /// Whether it asks for an access token.
    #[must_use]
    pub fn is_secured(&self) -> bool {
        self.json["security"]
            .as_array()
            .is_some_and(|it| !it.is_empty())
    }
}

fn check_headers(listed: &Value, headers: &HeaderMap) -> Result<(), String> {
    let names = listed["headers"].as_object();
    for name in LISTED {
        let Some(value) = headers.get(&name) else {
            continue;
        };
        let mut names = names.into_iter().flat_map(|names| names.keys());
        let is_listed = names.any(|listed| listed.eq_ignore_ascii_case(name.as_str()));
        let always_may = name == header::CACHE_CONTROL && value == "no-store";
        if !is_listed && !always_may {
            return Err(format!("the header {name}: {value:?} is not listed"));
        }
    }
    Ok(())
}

/// Whether a path is one of a template's. The parameter `path` takes all that is left.
fn fits(template: &str, path: &str) -> bool {
    let mut parts = path.split('/');
    for expected in template.split('/') {
        match parts.next() {
            Some(_) if expected == "{path}" => return true,
            Some(part) if expected.starts_with('{') && !part.is_empty() => {}
            Some(part) if part == expected => {}
            _ => return false,
        }
    }
    parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, StatusCode};
    use serde_json::json;

    use super::*;

    fn document() -> Document {
        Document::new(json!({"paths": {
            "/orders": {"get": {"responses": {"200": {"description": "", "content": {"application/json": {"schema": {"type": "object"}}}}}}},
            "/orders/{order_id}": {"get": {
                "security": [{"bearer": []}],
                "responses": {
                    "204": {"description": "", "headers": {"Location": {}}},
                    "404": {"description": "", "content": {"application/problem+json": {
                        "schema": {"type": "object"}, "examples": {"no-order": {}},
                    }}},
                    "default": {"description": ""},
                },
            }},
            "/orders/import": {"post": {"requestBody": {"content": {"application/x-ndjson": {}}}, "responses": {}}},
            "/assets/{path}": {"get": {"responses": {}}},
        }}))
    }

    fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Answer {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_static(value));
        }
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: map,
            body: body.to_owned().into(),
        }
    }

    #[test]
    fn requests_find_their_operations() {
        let document = document();
        let find = |method, path| document.find(method, path).map(|it| it.key());
        assert_eq!(find("GET", "/orders?cursor=x").unwrap(), "get /orders");
        assert_eq!(find("GET", "/orders/1").unwrap(), "get /orders/{order_id}");
        assert_eq!(
            find("POST", "/orders/import").unwrap(),
            "post /orders/import"
        );
        assert_eq!(
            find("GET", "/assets/a/b.css").unwrap(),
            "get /assets/{path}"
        );
        assert_eq!(find("GET", "/orders/"), None);
        assert_eq!(find("POST", "/orders"), None);
        assert!(document.knows("/orders") && !document.knows("/timers"));
    }

    #[test]
    fn an_operation_says_what_it_answers_and_takes() {
        let document = document();
        let read = document.find("get", "/orders/1").unwrap();
        assert_eq!(read.outcomes(), ["204", "404 no-order"]);
        assert!(read.is_secured() && read.takes().is_none());
        let import = document.find("post", "/orders/import").unwrap();
        assert_eq!(import.takes(), Some("application/x-ndjson"));
    }

    #[test]
    fn what_is_not_listed_is_refused() {
        let document = document();
        let read = document.find("get", "/orders/1").unwrap();
        let problem = [("content-type", "application/problem+json")];
        let fine = [
            answer(
                204,
                &[("location", "/x"), ("cache-control", "no-store")],
                "",
            ),
            answer(404, &problem, r#"{"code":"no-order"}"#),
        ];
        for answer in fine {
            document.check(read, &answer).unwrap();
        }
        let wrong = [
            answer(200, &[], ""),
            answer(204, &[], "body"),
            answer(204, &[("etag", "\"1\"")], ""),
            answer(204, &[("cache-control", "public")], ""),
            answer(404, &[("content-type", "text/plain")], "no"),
            answer(404, &problem, r#"{"code":"no-spike"}"#),
            answer(404, &problem, "no"),
        ];
        for answer in wrong {
            document.check(read, &answer).unwrap_err();
        }
    }
}
