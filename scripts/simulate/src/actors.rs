//! Who does something: buyers, the broker that delivers, the timer, the admin. Each is one request to one process, and
//! notes what it was told.

use axum::{Router, body::Body};
use domain::{OrderId, Rule, SpikeId, Timestamp, UserId};
use http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::{
    mutation::Mutation,
    plan::bearer,
    world::{Message, World, acknowledge},
};

/// An answer.
pub struct Answer {
    status: StatusCode,
    etag: Option<String>,
    body: Value,
}

/// Sends one request; a 500 never is right.
async fn call(world: &World, router: &Router, what: &str, request: Request<Body>) -> Answer {
    let answer = match router.clone().oneshot(request).await {
        Ok(answer) => answer,
        Err(never) => match never {},
    };
    let (parts, body) = answer.into_parts();
    let body = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes);
    let body = body.unwrap_or_default();
    let text = || String::from_utf8_lossy(&body).into_owned();
    world.steps.moved();
    world
        .steps
        .note(|| format!("{what}: {} {}", parts.status.as_u16(), text()));
    if parts.status == StatusCode::INTERNAL_SERVER_ERROR {
        world
            .steps
            .violate(format!("{what} was answered 500: {}", text()));
    }
    let etag = parts
        .headers
        .get(header::ETAG)
        .and_then(|it| it.to_str().ok());
    Answer {
        status: parts.status,
        etag: etag.map(str::to_owned),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    }
}

fn request(
    world: &World,
    method: &str,
    path: String,
    caller: (UserId, bool),
    body: Option<Value>,
) -> Request<Body> {
    let (user_id, admin) = caller;
    let request = Request::builder().method(method).uri(path);
    let request = request.header(
        header::AUTHORIZATION,
        bearer(user_id, admin, world.steps.now_ms()),
    );
    let built = match body {
        Some(body) => request
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string())),
        None => request.body(Body::empty()),
    };
    built.unwrap_or_default()
}

/// A buyer tries to buy.
pub async fn buy(world: World, router: Router, spike_id: SpikeId, user_id: UserId, quantity: u32) {
    let now = world.steps.clock(0)();
    let token = World::path_tokens().token(spike_id, user_id, now);
    let path = format!("/spikes/{spike_id}/orders/{token}");
    let body = json!({ "quantity": quantity });
    let what = format!("{user_id} buys {quantity}");
    let request = request(&world, "POST", path, (user_id, false), Some(body));
    let answer = call(&world, &router, &what, request).await;
    world.book().told.insert(user_id, answer.status);
    if answer.status == StatusCode::ACCEPTED {
        let id = answer.body["order_id"]
            .as_str()
            .and_then(|id| id.parse().ok());
        let id: Option<OrderId> = id;
        match id {
            Some(id) => {
                let told = (spike_id, user_id);
                let before = world.book().promised.insert(id, told);
                if before.is_some_and(|before| before != told) {
                    world
                        .steps
                        .violate(format!("order {id} was promised to two users"));
                }
            }
            None => world
                .steps
                .violate(format!("a 202 without an order: {}", answer.body)),
        }
    }
}

/// The broker delivers an event; what is done is not delivered again, except as a duplicate.
pub async fn deliver(world: World, router: Router, message: Message) {
    if world.mutation == Some(Mutation::WriterAcknowledgesBeforeCommit)
        && let Ok(event) = events::envelope::read_structured(&message.body)
    {
        acknowledge(&world, &event);
    }
    let what = format!("event {} is delivered", message.id);
    let request = Request::post("/events/order-placed")
        .header(header::CONTENT_TYPE, events::envelope::CONTENT_TYPE)
        .body(Body::from(message.body.clone()))
        .unwrap_or_default();
    let answer = call(&world, &router, &what, request).await;
    if message.is_poison {
        match answer.status {
            StatusCode::BAD_REQUEST => {
                let mut book = world.book();
                book.messages.retain(|it| it.id != message.id);
                book.buried += 1;
            }
            StatusCode::SERVICE_UNAVAILABLE => {}
            status => world.steps.violate(format!("poison was answered {status}")),
        }
        return;
    }
    let forgotten = world.mutation == Some(Mutation::FailedDeliveryIsForgotten);
    if answer.status == StatusCode::NO_CONTENT || forgotten {
        let mut book = world.book();
        book.messages.retain(|it| it.id != message.id);
        book.done.push(message.body);
    } else if answer.status != StatusCode::SERVICE_UNAVAILABLE {
        world.steps.violate(format!(
            "{what}, and refused for good with {}",
            answer.status
        ));
    }
}

/// The timer goes off.
pub async fn sweep(world: World, router: Router) {
    let request = Request::post("/timers/sweep")
        .body(Body::empty())
        .unwrap_or_default();
    call(&world, &router, "sweep", request).await;
}

/// A buyer pays.
pub async fn pay(world: World, router: Router, order_id: OrderId, user_id: UserId) {
    let body = json!({ "method": "test-approve" });
    let path = format!("/orders/{order_id}/pay");
    let was_unwritten = !world.store.state().orders.contains_key(&order_id);
    let request = request(&world, "POST", path, (user_id, false), Some(body));
    let answer = call(&world, &router, &format!("{user_id} pays"), request).await;
    if answer.status == StatusCode::OK {
        world.book().paid.insert(order_id);
    } else if was_unwritten {
        // Row 6: not yet, and never a failure.
        world.steps.saw("payment before the order is written");
        let may = [
            StatusCode::NOT_FOUND,
            StatusCode::CONFLICT,
            StatusCode::SERVICE_UNAVAILABLE,
        ];
        if !may.contains(&answer.status) {
            let status = answer.status;
            world
                .steps
                .violate(format!("a payment for no order was answered {status}"));
        }
    }
}

/// Somebody looks at an order, their own or another's.
pub async fn look(world: World, router: Router, order_id: OrderId, user_id: UserId) {
    let path = format!("/orders/{order_id}");
    let request = request(&world, "GET", path, (user_id, false), None);
    let what = format!("{user_id} looks at {order_id}");
    let answer = call(&world, &router, &what, request).await;
    let owner = world.book().promised.get(&order_id).map(|(_, user)| *user);
    if answer.status == StatusCode::OK && owner != Some(user_id) {
        world
            .steps
            .violate(format!("{user_id} was shown the order of {owner:?}"));
    }
    world.book().seen.insert((order_id, user_id), answer.status);
}

/// A buyer who was told 202 looks for their order, which has to be there.
pub async fn look_for_mine(
    world: World,
    router: Router,
    spike_id: SpikeId,
    user_id: UserId,
    must_be_there: bool,
) {
    let path = format!("/spikes/{spike_id}/order");
    let request = request(&world, "GET", path, (user_id, false), None);
    let answer = call(&world, &router, &format!("{user_id} looks"), request).await;
    if must_be_there && answer.status == StatusCode::NOT_FOUND {
        world.steps.violate(format!(
            "I3: {user_id} was told 202 and cannot find the order"
        ));
    }
}

/// A buyer cancels.
pub async fn cancel(world: World, router: Router, order_id: OrderId, user_id: UserId) {
    let path = format!("/orders/{order_id}/cancel");
    let request = request(&world, "POST", path, (user_id, false), None);
    let answer = call(&world, &router, &format!("{user_id} cancels"), request).await;
    if answer.status == StatusCode::OK {
        let again = !world.book().cancelled.insert(order_id);
        if again {
            world.steps.saw("cancelled again");
        }
    }
}

/// What an admin does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Another stock.
    Stock(u32),
    /// Another limit.
    Limit(u32),
    /// Nobody may buy for now.
    Pause,
    /// The sale goes on.
    Resume,
    /// Another start.
    Start(Timestamp),
    /// Another end.
    End(Timestamp),
    /// Other rules.
    Rules(Vec<Rule>),
    /// The spike is to be gone.
    Delete,
}

/// An admin changes a spike.
pub async fn change(world: World, router: Router, spike_id: SpikeId, change: Change) {
    let path = format!("/admin/spikes/{spike_id}");
    if matches!(change, Change::Pause | Change::Resume) {
        return turn(&world, &router, spike_id, &change).await;
    }
    let read = request(&world, "GET", path.clone(), admin(), None);
    let read = call(&world, &router, "the admin reads", read).await;
    let (StatusCode::OK, Some(etag)) = (read.status, &read.etag) else {
        return;
    };
    let mut writes = if change == Change::Delete {
        request(&world, "DELETE", path, admin(), None)
    } else {
        let settings = settings(&world, spike_id, &read.body, &change);
        request(&world, "PUT", path, admin(), Some(settings))
    };
    if let Ok(etag) = etag.parse() {
        writes.headers_mut().insert(header::IF_MATCH, etag);
    }
    let before = read.body["stock"].as_u64();
    let answer = call(&world, &router, &format!("the admin: {change:?}"), writes).await;
    if answer.status.is_success() {
        world.steps.saw(match change {
            Change::Stock(stock) if before > Some(stock.into()) => "lowered",
            Change::Stock(_) => "raised",
            Change::Start(_) => "start moved",
            Change::End(_) => "end moved",
            Change::Rules(_) => "rules changed",
            Change::Delete => "deleted",
            Change::Limit(_) | Change::Pause | Change::Resume => return,
        });
    }
}

fn admin() -> (UserId, bool) {
    (crate::plan::user_id(crate::plan::USERS), true)
}

/// Pauses or resumes.
async fn turn(world: &World, router: &Router, spike_id: SpikeId, change: &Change) {
    let resumes = *change == Change::Resume;
    let turn = if resumes { "resume" } else { "pause" };
    let path = format!("/admin/spikes/{spike_id}/{turn}");
    let request = request(world, "POST", path, admin(), None);
    let before = {
        let mut book = world.book();
        if resumes {
            book.paused.remove(&spike_id);
            book.resumptions.0 += 1;
        }
        book.resumptions
    };
    let answer = call(world, router, &format!("the admin: {change:?}"), request).await;
    let mut book = world.book();
    if resumes {
        book.resumptions.1 += 1;
    } else if answer.status == StatusCode::OK && before == book.resumptions && before.0 == before.1
    {
        book.paused.insert(spike_id);
    }
}

/// Of what was read, the settings, with this change.
fn settings(world: &World, spike_id: SpikeId, read: &Value, change: &Change) -> Value {
    let (field, value) = match change {
        Change::Stock(stock) => ("stock", json!(stock)),
        Change::Limit(limit) => ("limit_per_user", json!(limit)),
        Change::Start(at) => ("starts_at", json!(at)),
        Change::End(at) => ("ends_at", json!(at)),
        Change::Rules(rules) => ("rules", json!(rules)),
        Change::Pause | Change::Resume | Change::Delete => ("", Value::Null),
    };
    let stored = world.store.state().spikes.get(&spike_id).cloned();
    let fields = stored.map(|spike| json!(spike.settings));
    let fields = fields.as_ref().and_then(Value::as_object);
    let fields = fields.into_iter().flatten().map(|(name, _)| {
        let value = if name == field { &value } else { &read[name] };
        (name.clone(), value.clone())
    });
    Value::Object(fields.collect())
}
