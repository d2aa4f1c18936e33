//! Answers of the operations about accounts, keys and pages.

use e2e::client::{Answer, Call};
use serde_json::json;

use super::{Driver, Scene, crowd, drive};
use crate::stage::{PASSWORD, Stage, new_name};

pub(crate) fn drivers(scene: &Scene) -> Vec<Driver<'_>> {
    let stage = &scene.stage;
    let mut drivers = pages(stage);
    drivers.extend([
        drive("post /users", "201", async {
            stage.register(&new_name()).await
        }),
        drive("post /users", "409 username-taken", async {
            let name = new_name();
            stage.register(&name).await.expect("201");
            stage.register(&name.to_uppercase()).await
        }),
        drive("post /users", "422 weak-password", async {
            let account = json!({ "username": new_name(), "password": "password1" });
            stage.send(Call::post("/users").json(&account)).await
        }),
        drive("post /users", "503 busy", async {
            let account = || json!({ "username": new_name(), "password": PASSWORD });
            crowd(scene, || Call::post("/users").json(&account())).await
        }),
        drive("post /users/login", "200", async {
            let name = new_name();
            stage.register(&name).await.expect("201");
            login(stage, &name, PASSWORD).await
        }),
        drive("post /users/login", "401 bad-credentials", async {
            login(stage, &new_name(), PASSWORD).await
        }),
        drive("post /users/login", "429 slow-down", async {
            let name = new_name();
            loop {
                let answer = login(stage, &name, PASSWORD).await;
                if answer.outcome() != "401 bad-credentials" {
                    return answer;
                }
            }
        }),
        drive("post /users/login", "503 busy", async {
            let credentials = || json!({ "username": new_name(), "password": PASSWORD });
            crowd(scene, || Call::post("/users/login").json(&credentials())).await
        }),
        drive("post /users/refresh", "200", async {
            let refresh_token = refresh_token(stage).await;
            present(stage, "refresh", &refresh_token).await
        }),
        drive("post /users/refresh", "401 bad-refresh-token", async {
            present(stage, "refresh", "nobody's").await
        }),
        drive("post /users/logout", "204", async {
            let refresh_token = refresh_token(stage).await;
            present(stage, "logout", &refresh_token).await
        }),
    ]);
    drivers
}

fn pages(stage: &Stage) -> Vec<Driver<'_>> {
    let get = |path: &'static str| async move { stage.send(Call::get(path)).await };
    vec![
        drive("get /", "200", get("/")),
        drive("get /assets/{path}", "200", get("/assets/style.css")),
        drive(
            "get /assets/{path}",
            "404 not-found",
            get("/assets/none.css"),
        ),
        drive("get /openapi.json", "200", get("/openapi.json")),
        drive("get /problems", "200", get("/problems")),
        drive("get /problems/{code}", "200", get("/problems/sold-out")),
        drive(
            "get /problems/{code}",
            "404 not-found",
            get("/problems/none"),
        ),
        drive(
            "get /.well-known/jwks.json",
            "200",
            get("/.well-known/jwks.json"),
        ),
        drive(
            "get /.well-known/openid-configuration",
            "200",
            get("/.well-known/openid-configuration"),
        ),
    ]
}

/// Logs in.
pub(crate) async fn login(stage: &Stage, username: &str, password: &str) -> Answer {
    let credentials = json!({ "username": username, "password": password });
    stage
        .send(Call::post("/users/login").json(&credentials))
        .await
}

/// Of somebody new.
pub(crate) async fn refresh_token(stage: &Stage) -> String {
    let name = new_name();
    stage.register(&name).await.expect("201");
    let session = login(stage, &name, PASSWORD).await.expect("200");
    session.text("refresh_token")
}

/// Shows a refresh token to `refresh` or `logout`.
pub(crate) async fn present(stage: &Stage, operation: &str, refresh_token: &str) -> Answer {
    let call = Call::post(format!("/users/{operation}"));
    stage
        .send(call.json(&json!({ "refresh_token": refresh_token })))
        .await
}
