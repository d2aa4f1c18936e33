//! Who may do what: the authorization table over all operations of the API's document.

use domain::Role;
use e2e::{
    client::{Answer, Call},
    document::Operation,
};
use serde_json::json;

use crate::{
    openapi::body_of,
    stage::{Person, Stage, inside, stage, until},
};

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// Everybody, with or without a token.
    Anybody,
    /// Whoever is logged in.
    User,
    /// Only the user whose it is; to others, admins too, it does not exist.
    Owner,
    /// Only an admin.
    Admin,
}

const TABLE: [(&str, Who); 36] = [
    ("get /", Who::Anybody),
    ("get /.well-known/jwks.json", Who::Anybody),
    ("get /.well-known/openid-configuration", Who::Anybody),
    ("get /assets/{path}", Who::Anybody),
    ("get /openapi.json", Who::Anybody),
    ("get /problems", Who::Anybody),
    ("get /problems/{code}", Who::Anybody),
    ("get /spikes", Who::Anybody),
    ("get /spikes/{spike_id}", Who::Anybody),
    ("post /users", Who::Anybody),
    ("post /users/login", Who::Anybody),
    ("post /users/refresh", Who::Anybody),
    ("post /users/logout", Who::Anybody),
    ("get /spikes/{spike_id}/access", Who::User),
    ("post /spikes/{spike_id}/token", Who::User),
    ("get /orders", Who::User),
    ("post /spikes/{spike_id}/orders/{token}", Who::Owner),
    ("get /spikes/{spike_id}/order", Who::Owner),
    ("get /orders/{order_id}", Who::Owner),
    ("post /orders/{order_id}/pay", Who::Owner),
    ("post /orders/{order_id}/cancel", Who::Owner),
    ("get /admin/dead-letters", Who::Admin),
    ("post /admin/dead-letters/{id}/redrive", Who::Admin),
    ("get /admin/refunds", Who::Admin),
    ("get /admin/spikes", Who::Admin),
    ("post /admin/spikes", Who::Admin),
    ("get /admin/spikes/{spike_id}", Who::Admin),
    ("put /admin/spikes/{spike_id}", Who::Admin),
    ("delete /admin/spikes/{spike_id}", Who::Admin),
    ("post /admin/spikes/{spike_id}/pause", Who::Admin),
    ("post /admin/spikes/{spike_id}/resume", Who::Admin),
    ("get /admin/spikes/{spike_id}/stats", Who::Admin),
    ("get /admin/users", Who::Admin),
    ("post /admin/users/import", Who::Admin),
    ("get /admin/users/{user_id}", Who::Admin),
    ("put /admin/users/{user_id}", Who::Admin),
];

/// What stands in for the parameters of paths.
pub(crate) struct Things {
    pub(crate) owner: Person,
    pub(crate) spike_id: String,
    pub(crate) order_id: String,
    pub(crate) token: String,
}

impl Things {
    /// Somebody who has just bought from a new spike.
    pub(crate) async fn new(stage: &Stage) -> Self {
        let owner = stage.person().await;
        let spike_id = stage.sale(json!({})).await;
        let order = stage.buy(&owner, &spike_id, 1).await;
        Self {
            token: stage.path_token(&owner, &spike_id).await,
            order_id: order["order_id"].as_str().unwrap().to_owned(),
            owner,
            spike_id,
        }
    }

    /// The path with its parameters filled in.
    pub(crate) fn fill(&self, path: &str) -> String {
        path.replace("{spike_id}", &self.spike_id)
            .replace("{order_id}", &self.order_id)
            .replace("{token}", &self.token)
            .replace("{user_id}", &self.owner.user_id.to_string())
            .replace("{id}", "nothing")
            .replace("{path}", "style.css")
            .replace("{code}", "sold-out")
    }
}

/// A request with a good body, of nobody.
pub(crate) fn request(operation: &Operation<'_>, things: &Things) -> Call {
    let call = Call::new(operation.method, things.fill(operation.path));
    match (operation.takes(), body_of(operation)) {
        (Some(content_type), Some(body)) => call.body(content_type, body.to_string()),
        _ => call,
    }
}

fn who(key: &str) -> Option<Who> {
    let entry = TABLE.iter().find(|(operation, _)| *operation == key);
    entry.map(|(_, who)| *who)
}

#[tokio::test]
async fn every_operation_stands_in_the_authorization_table_and_nothing_else_does() {
    let stage = stage().await;
    let operations = stage.client.document().unwrap().operations();
    let keys: Vec<String> = operations.iter().map(Operation::key).collect();
    let missing: Vec<_> = keys.iter().filter(|key| who(key).is_none()).collect();
    assert!(missing.is_empty(), "without an entry: {missing:?}");
    let entries = TABLE.iter().map(|(key, _)| *key);
    let outdated: Vec<_> = entries
        .filter(|key| !keys.iter().any(|it| it == key))
        .collect();
    assert!(outdated.is_empty(), "no operation any more: {outdated:?}");
    for operation in operations {
        let open = who(&operation.key()) == Some(Who::Anybody);
        assert_eq!(open, !operation.is_secured(), "{}", operation.key());
    }
}

#[tokio::test]
async fn everybody_may_do_what_the_authorization_table_says() {
    let stage = stage().await;
    let other = stage.person().await;
    let document = stage.client.document().unwrap().clone();
    let mut things = Things::new(&stage).await;
    for operation in document.operations() {
        let who = who(&operation.key()).unwrap();
        let ask = async |token: Option<&str>| {
            let call = request(&operation, &things);
            let call = token.into_iter().fold(call, Call::bearer);
            stage.send(call).await
        };
        let answers = [
            ask(None).await,
            ask(Some(&other.token)).await,
            ask(Some(&stage.admin.token)).await,
            ask(Some(&things.owner.token)).await,
        ];
        let refused = answers.each_ref().map(refusal);
        let expected = match who {
            Who::Anybody => [None, None, None, None],
            Who::User => [Some(401), None, None, None],
            Who::Owner => [Some(401), Some(404), Some(404), None],
            Who::Admin => [Some(401), Some(403), None, Some(403)],
        };
        let is_bad_credentials = operation.path.starts_with("/users");
        let letter = operation.path.contains("{id}") && refused[2] == Some(404);
        if !is_bad_credentials && !letter {
            let who = "nobody, another user, an admin, the owner";
            assert_eq!(refused, expected, "{}: {who}", operation.key());
        }
        // Some operations end what they are called for.
        if operation.method != "get" && operation.path.contains('{') {
            things = Things::new(&stage).await;
        }
    }
}

/// The status, if the answer keeps somebody out.
fn refusal(answer: &Answer) -> Option<u16> {
    let status = answer.status.as_u16();
    [401, 403, 404].contains(&status).then_some(status)
}

#[tokio::test]
async fn routes_of_events_and_timers_are_not_found_at_the_public_port() {
    let stage = stage().await;
    for path in [
        "/events/order-placed",
        "/events/dead-letter",
        "/timers/sweep",
        "/broker",
    ] {
        for method in ["post", "get"] {
            let call = Call::new(method, path).body("application/cloudevents+json", "{}");
            stage.send(call).await.expect("404 not-found");
            stage
                .admin(Call::new(method, path))
                .await
                .expect("404 not-found");
        }
    }
    let Some(inside) = inside() else { return };
    let swept = inside.send(Call::post("/timers/sweep")).await;
    assert_eq!(
        swept.outcome(),
        "200",
        "the timer's route is there, on its own socket"
    );
}

#[tokio::test]
async fn a_token_keeps_the_roles_that_it_was_signed_with() {
    let stage = stage().await;
    let person = stage.person().await;
    let path = format!("/admin/users/{}", person.user_id);
    let read = stage.admin(Call::get(&path)).await;
    let etag = read.header("etag").unwrap().to_owned();
    let change = json!({ "attributes": {}, "roles": [Role::Admin] });
    let call = Call::new("put", &path).if_match(&etag).json(&change);
    stage.admin(call).await.expect("200");
    let call = || Call::get("/admin/users").bearer(&person.token);
    stage.send(call()).await.expect("403 forbidden");
    // The account has the role by now: whoever logs in anew gets it.
    let found = async || {
        let call = Call::get(format!("/admin/users?username={}", person.username));
        let found = stage.admin(call).await.expect("200").json();
        (found["users"][0]["roles"] == json!(["admin"])).then_some(())
    };
    until("the account has the role", found).await;
}
