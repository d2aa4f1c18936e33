use std::task::Poll;

use axum::{
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use bytes::Bytes;
use domain::{Role, Timestamp, UserId};
use futures::stream;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;

mod imports;

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

struct Rig {
    app: runtime::App,
    store: Arc<dyn Store>,
    engine: store::testing::Guard,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn is(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status.as_u16(), &self.body["code"]),
            (status, &json!(code)),
            "{}",
            self.body
        );
        assert_eq!(
            self.headers[header::CONTENT_TYPE],
            "application/problem+json"
        );
    }

    fn ok(&self) -> &Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/json");
        &self.body
    }
}

async fn rig() -> Rig {
    let (store, engine) = store::testing::store().await;
    let clock: Clock = Arc::new(|| NOW);
    let authenticator = auth::testing::authenticator(clock.clone());
    let state = AppState {
        store: store.clone(),
        authenticator,
        clock,
    };
    Rig {
        app: runtime::app(router(state)),
        store,
        engine,
    }
}

fn token(roles: &[Role]) -> String {
    format!(
        "Bearer {}",
        auth::testing::token_for(UserId::mint(NOW, [1; 10]), roles, NOW)
    )
}

fn request(method: Method, path: &str) -> axum::http::request::Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::AUTHORIZATION, token(&[Role::Admin]))
}

impl Rig {
    async fn send(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self
            .app
            .clone()
            .oneshot(request)
            .await
            .unwrap()
            .into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(request(Method::GET, path).body(Body::empty()).unwrap())
            .await
    }

    async fn put(&self, user_id: &str, if_match: Option<&str>, body: Value) -> Answer {
        let mut put = request(Method::PUT, &format!("/admin/users/{user_id}"));
        put = put.header(header::CONTENT_TYPE, "application/json");
        if let Some(tag) = if_match {
            put = put.header(header::IF_MATCH, tag);
        }
        self.send(put.body(body.to_string().into()).unwrap()).await
    }

    async fn import(&self, body: impl Into<Body>) -> Answer {
        let post = request(Method::POST, "/admin/users/import")
            .header(header::CONTENT_TYPE, "application/x-ndjson");
        self.send(post.body(body.into()).unwrap()).await
    }

    /// Makes an account and says its id.
    async fn made(&self, username: &str) -> String {
        let imported = self
            .import(json!({ "username": username }).to_string())
            .await;
        imported.ok()["users"][0]["user_id"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}

fn nobody() -> String {
    UserId::mint(NOW, [9; 10]).to_string()
}

fn change() -> Value {
    json!({ "attributes": {}, "roles": [] })
}

#[tokio::test]
async fn accounts_are_listed_found_and_shown() {
    let rig = rig().await;
    let names: Vec<String> = (0..60).map(|n| format!("user-{n:02}")).collect();
    let lines: Vec<String> = names
        .iter()
        .map(|name| json!({ "username": name }).to_string())
        .collect();
    let text = lines.join("\n");
    assert_eq!(rig.import(text).await.ok()["created"], 60);

    let first = rig.get("/admin/users").await;
    let second = rig
        .get(&format!(
            "/admin/users?cursor={}",
            first.ok()["next"].as_str().unwrap()
        ))
        .await;
    assert_eq!(second.ok()["next"], Value::Null);
    let mut listed: Vec<String> = [&first, &second]
        .iter()
        .flat_map(|part| part.ok()["users"].as_array().unwrap())
        .map(|user| user["username"].as_str().unwrap().to_owned())
        .collect();
    listed.sort();
    assert_eq!(listed, names);

    let found = rig.get("/admin/users?username=USER-07").await;
    let user = &found.ok()["users"][0];
    assert_eq!(user["can_log_in"], false);
    let shown = rig
        .get(&format!(
            "/admin/users/{}",
            user["user_id"].as_str().unwrap()
        ))
        .await;
    assert_eq!(shown.ok(), user);
    assert_eq!(shown.headers[header::ETAG], "\"1\"");
    assert_eq!(
        rig.get("/admin/users?username=nobody").await.ok(),
        &json!({ "users": [], "next": null })
    );
}

#[tokio::test]
async fn a_change_needs_the_version_that_was_read() {
    let rig = rig().await;
    let id = rig.made("ada").await;
    let body =
        json!({ "attributes": {"age": 36}, "roles": ["admin", "admin"], "display_name": "Ada" });
    rig.put(&id, None, body.clone())
        .await
        .is(428, "version-required");
    rig.put(&id, Some("\"2\""), body.clone())
        .await
        .is(412, "version-mismatch");
    let changed = rig.put(&id, Some("\"1\""), body.clone()).await;
    assert_eq!(
        (
            changed.ok()["version"].clone(),
            &changed.headers[header::ETAG]
        ),
        (json!(2), &"\"2\"".parse().unwrap())
    );
    assert_eq!(changed.body["roles"], json!(["admin"]));
    rig.put(&id, Some("\"1\""), body)
        .await
        .is(412, "version-mismatch");
    let replaced = rig.put(&id, Some("\"2\""), change()).await;
    assert_eq!(
        replaced.ok()["display_name"],
        Value::Null,
        "a change replaces the whole"
    );
    assert_eq!(
        rig.get(&format!("/admin/users/{id}")).await.ok(),
        replaced.ok()
    );
}

#[tokio::test]
async fn of_two_changes_of_one_version_one_wins() {
    let rig = rig().await;
    let id = rig.made("ada").await;
    let (a, b) = tokio::join!(
        rig.put(&id, Some("\"1\""), change()),
        rig.put(&id, Some("\"1\""), change())
    );
    let mut statuses = [a.status.as_u16(), b.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
}

#[tokio::test]
async fn unknown_accounts_and_bad_values_are_told() {
    let rig = rig().await;
    rig.get(&format!("/admin/users/{}", nobody()))
        .await
        .is(404, "no-user");
    rig.put(&nobody(), Some("\"1\""), change())
        .await
        .is(404, "no-user");
    for path in [
        "/admin/users/x",
        "/admin/users?cursor=x",
        "/admin/users?username=a",
        "/admin/users?all=1",
    ] {
        rig.get(path).await.is(400, "malformed");
    }
    let id = rig.made("ada").await;
    for (field, body) in [
        (
            "attributes",
            json!({ "attributes": {"a": "x".repeat(5000)}, "roles": [] }),
        ),
        (
            "attributes",
            json!({ "attributes": {"a": [[[[1]]]]}, "roles": [] }),
        ),
        (
            "display_name",
            json!({ "attributes": {}, "roles": [], "display_name": "a\r\nb" }),
        ),
    ] {
        let refused = rig.put(&id, Some("\"1\""), body).await;
        refused.is(422, "invalid-setting");
        assert_eq!(refused.body["field"], field);
    }
    for body in [
        json!({ "attributes": {} }),
        json!({ "attributes": {}, "roles": ["root"] }),
        json!([]),
    ] {
        rig.put(&id, Some("\"1\""), body).await.is(400, "malformed");
    }
}

#[test]
fn nobody_gives_a_role_that_they_do_not_have() {
    let refused = accounts::granted(vec![Role::Admin], &[]).unwrap_err();
    assert_eq!(runtime::Problem::from(refused).code(), Code::Forbidden);
    assert_eq!(
        accounts::granted(vec![Role::Admin; 2], &[Role::Admin]).unwrap(),
        [Role::Admin]
    );
    assert_eq!(accounts::granted(Vec::new(), &[]).unwrap(), []);
}

#[tokio::test]
async fn without_the_store_the_answer_is_unavailable() {
    let rig = rig().await;
    let Rig { app, store, engine } = rig;
    drop(engine);
    let rig = Rig {
        app,
        store,
        engine: store::testing::store().await.1,
    };
    let away = rig.get("/admin/users").await;
    away.is(503, "unavailable");
    assert!(away.headers.contains_key(header::RETRY_AFTER));
}

#[test]
fn a_record_that_cannot_be_read_is_our_error() {
    let corrupt = Error::from(store::Error::Corrupt("?".into()));
    assert_eq!(runtime::Problem::from(corrupt).code(), Code::Internal);
}

#[tokio::test]
async fn fault_30_callers_are_refused_before_the_body_is_read() {
    let rig = rig().await;
    let id = rig.made("ada").await;
    let one = format!("/admin/users/{id}");
    let forged = auth::testing::forgeries(UserId::mint(NOW, [1; 10]), NOW);
    let mut callers = vec![
        (None, 401, "unauthorized"),
        (Some(token(&[])), 403, "forbidden"),
    ];
    callers.extend(
        forged
            .iter()
            .map(|(_, token)| (Some(format!("Bearer {token}")), 401, "unauthorized")),
    );
    for (caller, status, code) in callers {
        for (method, path, kind) in [
            (Method::GET, "/admin/users", "text/plain"),
            (Method::GET, one.as_str(), "text/plain"),
            (Method::PUT, one.as_str(), "application/json"),
            (Method::POST, "/admin/users/import", "application/x-ndjson"),
        ] {
            let untouched = stream::poll_fn(|_| -> Poll<Option<Result<Bytes, std::io::Error>>> {
                panic!("the body was read");
            });
            let mut request = Request::builder().method(method).uri(path);
            request = request
                .header(header::CONTENT_TYPE, kind)
                .header(header::IF_MATCH, "\"1\"");
            if let Some(caller) = &caller {
                request = request.header(header::AUTHORIZATION, caller);
            }
            rig.send(request.body(Body::from_stream(untouched)).unwrap())
                .await
                .is(status, code);
        }
    }
}

#[test]
fn the_document_has_every_operation() {
    let document = serde_json::to_value(openapi()).unwrap();
    for (pointer, statuses) in [
        (
            "/paths/~1admin~1users/get",
            &["200", "400", "401", "403", "503"][..],
        ),
        (
            "/paths/~1admin~1users~1{user_id}/get",
            &["200", "400", "401", "403", "404", "503"],
        ),
        (
            "/paths/~1admin~1users~1{user_id}/put",
            &[
                "200", "400", "401", "403", "404", "412", "413", "415", "422", "428", "503",
            ],
        ),
        (
            "/paths/~1admin~1users~1import/post",
            &["200", "400", "401", "403", "408", "413", "415", "503"],
        ),
    ] {
        let responses = &document.pointer(pointer).unwrap()["responses"];
        for status in statuses {
            assert!(responses[status].is_object(), "{pointer} {status}");
        }
    }
}
