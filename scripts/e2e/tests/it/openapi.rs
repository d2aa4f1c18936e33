//! The API's document is complete and true: every operation is driven to every answer that it lists. (That it lists
//! every answer is checked by the client of all tests.)

mod accounts;
mod buying;
mod operators;

use domain::Role;
use e2e::{
    client::{Answer, Call},
    document::Operation,
};
use futures::{
    FutureExt, StreamExt,
    future::{LocalBoxFuture, ready},
    stream::{self, FuturesUnordered},
};
use serde_json::{Value, json};

pub(crate) use accounts::{login, present, refresh_token};
pub(crate) use buying::upcoming;

use crate::{
    broken::Broken,
    routes::{Things, request},
    stage::{PASSWORD, Person, Stage, new_name, settings, stage},
};

/// Answers that nothing here can provoke, and why.
const NOT_DRIVEN: [(&str, &str, &str); 1] = [(
    "post /admin/users/import",
    "400 malformed",
    "its body has to break off, and then nobody is there to read the answer",
)];

/// What drivers work with.
pub(crate) struct Scene {
    pub(crate) stage: Stage,
    pub(crate) things: Things,
    /// Without store and Redis.
    pub(crate) away: Broken,
    /// With a broker that acknowledges nothing.
    pub(crate) mute: Broken,
}

/// Drives an operation to one of its outcomes.
pub(crate) struct Driver<'a> {
    operation: &'static str,
    outcome: &'static str,
    run: LocalBoxFuture<'a, Answer>,
}

/// A driver of `operation` to `outcome`.
pub(crate) fn drive<'a>(
    operation: &'static str,
    outcome: &'static str,
    run: impl Future<Output = Answer> + 'a,
) -> Driver<'a> {
    let run = run.boxed_local();
    Driver {
        operation,
        outcome,
        run,
    }
}

impl Scene {
    async fn new() -> Self {
        let stage = stage().await;
        Self {
            things: Things::new(&stage).await,
            away: Broken::away(&stage).await,
            mute: Broken::mute(&stage).await,
            stage,
        }
    }

    /// The token of somebody who may call the operation.
    fn caller(&self, operation: &Operation<'_>) -> &Person {
        if operation.path.starts_with("/admin") {
            &self.stage.admin
        } else {
            &self.things.owner
        }
    }
}

#[tokio::test]
async fn every_operation_is_driven_to_every_answer_that_it_lists() {
    let scene = Scene::new().await;
    let document = scene.stage.client.document().unwrap().clone();
    let mut listed = Vec::new();
    for operation in document.operations() {
        let outcomes = operation.outcomes().into_iter();
        listed.extend(outcomes.map(|outcome| (operation, outcome)));
    }
    let is_listed = |key: &str, outcome: &str| {
        let mut listed = listed.iter();
        listed.any(|(operation, it)| operation.key() == key && it == outcome)
    };
    let mut drivers = accounts::drivers(&scene);
    drivers.extend(buying::drivers(&scene));
    drivers.extend(operators::drivers(&scene));
    let mut wrong = Vec::new();
    for Driver {
        operation, outcome, ..
    } in &drivers
    {
        if !is_listed(operation, outcome) {
            wrong.push(format!("{operation}: {outcome} is driven and not listed"));
        }
    }
    for (operation, outcome, _) in NOT_DRIVEN {
        if !is_listed(operation, outcome) {
            wrong.push(format!("{operation}: {outcome} is excused and not listed"));
        }
    }
    let mut runs = Vec::new();
    for (operation, outcome) in &listed {
        let key = operation.key();
        let own = drivers
            .iter()
            .position(|it| it.operation == key && it.outcome == outcome);
        let excused = NOT_DRIVEN
            .iter()
            .any(|(it, other, _)| *it == key && other == outcome);
        let run = match own {
            Some(index) => Some(drivers.swap_remove(index).run),
            None if excused => continue,
            None => usual(&scene, *operation, outcome),
        };
        match run {
            Some(_) if excused => wrong.push(format!("{key}: {outcome} is excused and driven")),
            Some(run) => runs.push(run.map(move |answer| (key, outcome, answer))),
            None => wrong.push(format!("{key}: {outcome} is driven by nobody")),
        }
    }
    let mut runs = stream::iter(runs).buffer_unordered(8);
    while let Some((key, outcome, answer)) = runs.next().await {
        if answer.outcome() != *outcome {
            wrong.push(format!("{key}: {} instead of {outcome}", answer.outcome()));
        }
    }
    wrong.sort();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// How every operation comes to the answers that many list.
fn usual<'a>(
    scene: &'a Scene,
    operation: Operation<'a>,
    outcome: &str,
) -> Option<LocalBoxFuture<'a, Answer>> {
    let run = match outcome {
        "304" => not_modified(scene, operation).boxed_local(),
        "400 malformed" => malformed(scene, operation).boxed_local(),
        "401 unauthorized" => scene
            .stage
            .send(request(&operation, &scene.things))
            .boxed_local(),
        "403 forbidden" => {
            let call = request(&operation, &scene.things);
            let call = call.bearer(&scene.things.owner.token);
            scene.stage.send(call).boxed_local()
        }
        "408 body-timeout" => slow_body(scene, operation).boxed_local(),
        "413 too-large" => too_large(scene, operation).boxed_local(),
        "415 unsupported-media-type" => other_type(scene, operation).boxed_local(),
        "503 unavailable" => away(scene, operation).boxed_local(),
        _ => return None,
    };
    Some(run)
}

/// A request for the operation by somebody who may, without a body.
fn bare(scene: &Scene, operation: &Operation<'_>) -> Call {
    let call = Call::new(operation.method, scene.things.fill(operation.path));
    let call = match operation.method {
        "put" | "delete" => call.if_match("\"1\""),
        _ => call,
    };
    call.bearer(&scene.caller(operation).token)
}

async fn not_modified(scene: &Scene, operation: Operation<'_>) -> Answer {
    let first = scene
        .stage
        .send(bare(scene, &operation))
        .await
        .expect("200");
    let etag = first
        .header("etag")
        .expect("what may be kept has a version");
    let call = bare(scene, &operation).header("if-none-match", etag);
    scene.stage.send(call).await
}

/// Parameters that are no text, else a body or a query that is not what it should be.
async fn malformed(scene: &Scene, operation: Operation<'_>) -> Answer {
    let call = if let Some((before, after)) = operation.path.split_once('{') {
        let after = after.split_once('}').map_or("", |(_, after)| after);
        let path = format!("{before}%ff{}", scene.things.fill(after));
        let call = Call::new(operation.method, path);
        call.bearer(&scene.caller(&operation).token)
            .if_match("\"1\"")
    } else if let Some(content_type) = operation.takes() {
        bare(scene, &operation).body(content_type, "{")
    } else {
        let path = format!("{}?cursor=nowhere", operation.path);
        Call::new(operation.method, path).bearer(&scene.caller(&operation).token)
    };
    scene.stage.send(call).await
}

async fn too_large(scene: &Scene, operation: Operation<'_>) -> Answer {
    let bytes = if operation.path.ends_with("/import") {
        5 << 20
    } else {
        16 << 10
    };
    let body = vec![b' '; bytes + 1];
    let content_type = operation.takes().unwrap();
    let call = bare(scene, &operation).body(content_type, body);
    scene.stage.send(call).await
}

async fn other_type(scene: &Scene, operation: Operation<'_>) -> Answer {
    let call = bare(scene, &operation).body("text/plain", "{}");
    scene.stage.send(call).await
}

/// A body that never comes to its end.
async fn slow_body(scene: &Scene, operation: Operation<'_>) -> Answer {
    let begun = stream::iter([Ok::<_, std::io::Error>("{")]).chain(stream::pending());
    let admin = Broken::person(&[Role::Admin]);
    let spike = scene.mute.sale(1).await;
    let token = scene.mute.path_token(&admin, spike.id);
    let path = operation.path.replace("{token}", &token);
    let path = scene
        .things
        .fill(&path.replace("{spike_id}", &spike.id.to_string()));
    let call = Call::new(operation.method, path)
        .bearer(&admin.token)
        .if_match("\"1\"");
    let body = e2e::client::Body::wrap_stream(begun);
    let call = call.body(operation.takes().unwrap(), body);
    scene.mute.client.send(call).await
}

/// Store and Redis are away. What is asked for before them has to be right.
async fn away(scene: &Scene, operation: Operation<'_>) -> Answer {
    let admin = Broken::person(&[Role::Admin]);
    let spike = &scene.things.spike_id;
    let token = scene.away.path_token(&admin, spike.parse().unwrap());
    let path = scene
        .things
        .fill(&operation.path.replace("{token}", &token));
    let call = Call::new(operation.method, path)
        .bearer(&admin.token)
        .if_match("\"1\"");
    let call = match (operation.takes(), body_of(&operation)) {
        (Some(content_type), Some(body)) => call.body(content_type, body.to_string()),
        _ => call,
    };
    scene.away.client.send(call).await
}

/// A good body for an operation.
pub(crate) fn body_of(operation: &Operation<'_>) -> Option<Value> {
    let refresh_token = auth::refresh_token::mint().text;
    let body = match operation.key().as_str() {
        "post /users" | "post /users/login" => {
            json!({"username": new_name(), "password": PASSWORD})
        }
        "post /users/refresh" | "post /users/logout" => {
            json!({ "refresh_token": refresh_token })
        }
        "post /spikes/{spike_id}/orders/{token}" => json!({ "quantity": 1 }),
        "post /orders/{order_id}/pay" => json!({ "method": "test-approve" }),
        "post /admin/spikes" | "put /admin/spikes/{spike_id}" => settings(json!({})),
        "put /admin/users/{user_id}" => json!({ "attributes": {}, "roles": [] }),
        "post /admin/users/import" => json!({ "username": new_name() }),
        _ => return None,
    };
    Some(body)
}

/// Sends so many of these at once that one is told that the passwords are waiting in line; the others are given up.
pub(crate) async fn crowd(scene: &Scene, call: impl Fn() -> Call) -> Answer {
    let crowd: FuturesUnordered<_> = (0..150).map(|_| scene.mute.client.send(call())).collect();
    let mut turned_away = crowd.filter(|answer| ready(answer.outcome() == "503 busy"));
    turned_away.next().await.expect("somebody is turned away")
}
