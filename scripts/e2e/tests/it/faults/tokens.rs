//! Forged, spent and missing tokens.

use domain::Role;
use e2e::{
    client::{Body, Call},
    document::Operation,
};
use futures::{StreamExt, stream};
use serde_json::json;

use crate::{
    openapi::{present, refresh_token},
    routes::Things,
    stage::{now, sign, stage},
};

#[tokio::test]
async fn fault_25_a_forged_token_gets_one_identical_401_on_every_route_that_asks_for_one() {
    let stage = stage().await;
    let witness = stage.witness().await;
    let things = Things::new(&stage).await;
    let plain = stage
        .send(Call::get("/orders"))
        .await
        .expect("401 unauthorized");
    let admin = stage.admin.user_id;
    // With the system's own key where it can be read, so that a forgery is wrong in nothing but what its name says.
    let forgeries = match &stage.signing_key {
        Some(key) => auth::testing::forgeries_of(key, admin, now()),
        None => auth::testing::forgeries(admin, now()),
    };
    for (name, token) in &forgeries {
        for call in [Call::get("/orders"), Call::get("/admin/users")] {
            let answer = stage
                .send(call.bearer(token))
                .await
                .expect("401 unauthorized");
            assert_eq!(answer.body, plain.body, "{name}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{name}");
        }
    }
    let document = stage.client.document().unwrap().clone();
    let secured = document
        .operations()
        .into_iter()
        .filter(Operation::is_secured);
    for operation in secured {
        let (name, token) = &forgeries[operation.path.len() % forgeries.len()];
        let call = Call::new(operation.method, things.fill(operation.path)).bearer(token);
        let answer = stage.send(call).await;
        assert_eq!(
            answer.outcome(),
            "401 unauthorized",
            "{name}: {}",
            operation.key()
        );
        assert_eq!(answer.body, plain.body, "{name}: {}", operation.key());
    }
    if let Some(key) = &stage.signing_key {
        let token = sign(key, admin, &[Role::Admin]);
        stage
            .send(Call::get("/admin/users").bearer(&token))
            .await
            .expect("200");
    }
    witness.finds_all_well().await;
}

#[tokio::test]
async fn fault_26_a_spent_refresh_token_takes_its_whole_family_down() {
    let stage = stage().await;
    let witness = stage.witness().await;
    let first = refresh_token(&stage).await;
    let second = present(&stage, "refresh", &first)
        .await
        .expect("200")
        .text("refresh_token");
    let third = present(&stage, "refresh", &second)
        .await
        .expect("200")
        .text("refresh_token");
    present(&stage, "refresh", &first)
        .await
        .expect("401 bad-refresh-token");
    for token in [&first, &second, &third] {
        present(&stage, "refresh", token)
            .await
            .expect("401 bad-refresh-token");
    }
    let other = refresh_token(&stage).await;
    present(&stage, "logout", &other).await.expect("204");
    present(&stage, "logout", &other).await.expect("204");
    present(&stage, "refresh", &other)
        .await
        .expect("401 bad-refresh-token");
    witness.finds_all_well().await;
}

#[tokio::test]
async fn fault_30_operators_routes_refuse_before_they_read_the_body() {
    let stage = stage().await;
    let witness = stage.witness().await;
    let things = Things::new(&stage).await;
    let user = things.owner.token.clone();
    let forged = auth::testing::token_for(stage.admin.user_id, &[Role::Admin], now());
    let document = stage.client.document().unwrap().clone();
    let operations = document.operations().into_iter();
    for operation in operations.filter(|it| it.path.starts_with("/admin/")) {
        for (token, outcome) in [
            (None, "401 unauthorized"),
            (Some(&forged), "401 unauthorized"),
            (Some(&user), "403 forbidden"),
        ] {
            let call = Call::new(operation.method, things.fill(operation.path));
            let call = token
                .into_iter()
                .fold(call, |call, token| call.bearer(token));
            let call = match operation.takes() {
                // Whoever waits for the end of this body answers 408, not this.
                Some(content_type) => {
                    let begun = stream::iter([Ok::<_, std::io::Error>("{")]);
                    let endless = Body::wrap_stream(begun.chain(stream::pending()));
                    call.body(content_type, endless)
                }
                None => call,
            };
            let answer = stage.send(call).await;
            assert_eq!(answer.outcome(), outcome, "{}", operation.key());
        }
    }
    let role = json!({ "username": things.owner.username, "roles": ["admin"] }).to_string();
    let import = Call::post("/admin/users/import").body("application/x-ndjson", role);
    stage
        .send(import.bearer(&user))
        .await
        .expect("403 forbidden");
    witness.finds_all_well().await;
}
