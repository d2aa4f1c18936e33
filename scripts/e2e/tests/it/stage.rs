//! What the tests stand on: a running system, its operator, people, and spikes.

mod system;
mod witness;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use auth::{Caller, SigningKey};
use domain::{Role, Timestamp, UserId};
use e2e::client::{Answer, Call, Client};
use serde_json::{Value, json};

use system::login;
pub(crate) use system::{for_the_race, inside, stage, stage_of};

/// The system, and a client of one test's own.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) client: Client,
    pub(crate) admin: Person,
    pub(crate) signing_key: Option<Arc<SigningKey>>,
}

/// Somebody with an account and an access token.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) user_id: UserId,
    pub(crate) username: String,
    pub(crate) token: String,
}

/// The machine's time.
pub(crate) fn now() -> Timestamp {
    stock::testing::clock()()
}

/// A name that nobody else has.
pub(crate) fn new_name() -> String {
    static NAMES: AtomicU32 = AtomicU32::new(0);
    let number = NAMES.fetch_add(1, Ordering::Relaxed);
    format!(
        "e2e-{}-{:x}-{number}",
        std::process::id(),
        now().as_millis()
    )
}

/// Asks until there is an answer, for ten seconds or so.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..200 {
        if let Some(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it never came about: {what}");
}

impl Stage {
    pub(crate) async fn send(&self, call: Call) -> Answer {
        self.client.send(call).await
    }

    /// As an admin.
    pub(crate) async fn admin(&self, call: Call) -> Answer {
        self.send(call.bearer(&self.admin.token)).await
    }

    /// Somebody new.
    pub(crate) async fn person(&self) -> Person {
        self.people(1).await.remove(0)
    }

    /// Many who are new.
    pub(crate) async fn people(&self, count: usize) -> Vec<Person> {
        let names = (0..count).map(|_| json!({ "username": new_name() }));
        self.import(&names.collect::<Vec<_>>()).await
    }

    /// Makes accounts by the bulk import and signs their tokens; without the key they register and log in.
    pub(crate) async fn import(&self, entries: &[Value]) -> Vec<Person> {
        let mut people = Vec::new();
        if self.signing_key.is_none() {
            for entry in entries {
                self.register(entry["username"].as_str().unwrap()).await;
            }
        }
        let lines = entries.iter().map(|entry| format!("{entry}\n"));
        let lines = lines.collect::<Vec<_>>().concat();
        let call = Call::post("/admin/users/import").body("application/x-ndjson", lines);
        let imported = self.admin(call).await.expect("200").json();
        assert_eq!(imported["failed"], json!([]), "{imported}");
        for user in imported["users"].as_array().unwrap() {
            let user_id = user["user_id"].as_str().unwrap().parse().unwrap();
            let username = user["username"].as_str().unwrap().to_owned();
            let token = match &self.signing_key {
                Some(key) => sign(key, user_id, &[]),
                None => login(&self.client, &username, PASSWORD)
                    .await
                    .text("access_token"),
            };
            people.push(Person {
                user_id,
                username,
                token,
            });
        }
        people
    }

    /// Registers, as a buyer does.
    pub(crate) async fn register(&self, username: &str) -> Answer {
        let account = json!({ "username": username, "password": PASSWORD });
        self.send(Call::post("/users").json(&account)).await
    }

    /// Makes a spike that is open now, with some settings changed.
    pub(crate) async fn sale(&self, changes: Value) -> String {
        let call = Call::post("/admin/spikes").json(&settings(changes));
        self.admin(call).await.expect("201").text("spike_id")
    }

    /// A spike whose sale is over.
    pub(crate) async fn ended_sale(&self) -> String {
        // Time enough to be loaded on a busy machine: what has ended is not loaded any more.
        let ends_at = now() + Duration::from_millis(1_500);
        let spike = self.sale(json!({ "ends_at": ends_at })).await;
        let path = format!("/spikes/{spike}");
        let ended = async || {
            let seen = self.send(Call::get(&path)).await.expect("200");
            (seen.text("status") == "ended").then_some(())
        };
        until("the sale ends", ended).await;
        spike
    }

    /// The spike as its operator sees it, with its version.
    pub(crate) async fn read_spike(&self, spike: &str) -> (Value, String) {
        let read = self
            .admin(Call::get(format!("/admin/spikes/{spike}")))
            .await;
        let etag = read.header("etag").unwrap().to_owned();
        (read.expect("200").json(), etag)
    }

    /// Waits until so many units have been taken back for good.
    pub(crate) async fn retired(&self, spike: &str, units: u32) {
        let retired = async || {
            let (spike, _) = self.read_spike(spike).await;
            (spike["retired"] == units).then_some(())
        };
        until("the units are retired", retired).await;
    }

    /// Changes some of a spike's settings.
    pub(crate) async fn change(&self, spike: &str, changes: Value) -> Answer {
        let (was, etag) = self.read_spike(spike).await;
        let mut settings = settings(json!({}));
        for (name, value) in settings.as_object_mut().unwrap() {
            value.clone_from(changes.get(name).unwrap_or(&was[name]));
        }
        let call = Call::new("put", format!("/admin/spikes/{spike}"));
        self.admin(call.if_match(&etag).json(&settings)).await
    }

    /// A path token, once there is one.
    pub(crate) async fn path_token(&self, person: &Person, spike: &str) -> String {
        let path = format!("/spikes/{spike}/token");
        let asked = async || {
            let answer = self.send(Call::post(&path).bearer(&person.token)).await;
            (answer.outcome() == "200").then(|| answer.text("token"))
        };
        until("a path token", asked).await
    }

    /// Orders as a buyer does: what passes by itself is asked again.
    pub(crate) async fn order(&self, person: &Person, spike: &str, quantity: u32) -> Answer {
        let token = self.path_token(person, spike).await;
        let path = format!("/spikes/{spike}/orders/{token}");
        let asked = async || {
            let call = Call::post(&path).bearer(&person.token);
            let answer = self.send(call.json(&json!({ "quantity": quantity }))).await;
            (!matches!(answer.status.as_u16(), 425 | 429 | 503)).then_some(answer)
        };
        until("an answer to an order", asked).await
    }

    /// Buys and waits until the order is written.
    pub(crate) async fn buy(&self, person: &Person, spike: &str, quantity: u32) -> Value {
        let accepted = self.order(person, spike, quantity).await.expect("202");
        let location = accepted.header("location").unwrap().to_owned();
        let written = async || {
            let call = Call::get(&location).bearer(&person.token);
            let order = self.send(call).await.expect("200").json();
            (order["state"] != "queued").then_some(order)
        };
        let order = until("the order is written", written).await;
        assert_eq!(order["order_id"], accepted.json()["order_id"]);
        order
    }

    /// What one does with an order: `pay` with a means, or `cancel`.
    pub(crate) async fn pay(&self, person: &Person, order: &Value, method: &str) -> Answer {
        let path = format!("/orders/{}/pay", order["order_id"].as_str().unwrap());
        let call = Call::post(path).json(&json!({ "method": method }));
        self.send(call.bearer(&person.token)).await
    }

    pub(crate) async fn cancel(&self, person: &Person, order: &Value) -> Answer {
        let path = format!("/orders/{}/cancel", order["order_id"].as_str().unwrap());
        self.send(Call::post(path).bearer(&person.token)).await
    }

    /// Waits until an order is in a state; answers with it.
    pub(crate) async fn state(&self, person: &Person, order: &Value, state: &str) -> Value {
        let path = format!("/orders/{}", order["order_id"].as_str().unwrap());
        let changed = async || {
            let call = Call::get(&path).bearer(&person.token);
            let order = self.send(call).await.json();
            (order["state"] == state).then_some(order)
        };
        until(state, changed).await
    }

    /// Hands something to the dead letters, as the broker does, and finds its id. Where the inside cannot be reached
    /// there is no way to it.
    pub(crate) async fn dead_letter(&self, body: &str) -> String {
        let mark = new_name();
        let call = Call::post("/events/dead-letter").header("x-spike-reason", &mark);
        let call = call.body("application/cloudevents+json", body.to_owned());
        let inside = inside().expect("PRIVATE_SOCKET is set with BASE_URL");
        assert_eq!(inside.send(call).await.outcome(), "204");
        let letters = self
            .admin(Call::get("/admin/dead-letters"))
            .await
            .expect("200");
        let letters = letters.json()["dead_letters"].clone();
        let mut letters = letters.as_array().unwrap().iter();
        let ours = letters.find(|letter| letter["reason"] == mark || letter["body"] == body);
        ours.expect("the letter is kept")["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Waits until the sale is at rest and checks what must hold then; answers with its numbers.
    pub(crate) async fn at_rest(&self, spike: &str) -> Value {
        let path = format!("/admin/spikes/{spike}/stats");
        let at_rest = async || {
            let stats = self.admin(Call::get(&path)).await.expect("200").json();
            let balance = &stats["balance"];
            let on_its_way = ["queued", "settling"].map(|it| balance[it].as_u64().unwrap());
            let quiet = stats["redis"]["pending"] == 0 && stats["free_differs"] == 0;
            (quiet && balance["balances"] == true && on_its_way == [0, 0]).then_some(stats)
        };
        let stats = until("the sale is at rest", at_rest).await;
        let unit_sum = ["free", "held", "retired"].map(|it| stats["store"][it].as_u64().unwrap());
        assert_eq!(unit_sum.iter().sum::<u64>(), stats["top"], "{stats}");
        assert_eq!(stats["redis"]["free"], stats["store"]["free"], "{stats}");
        stats
    }
}

/// Of everybody who registers here.
pub(crate) const PASSWORD: &str = "a sneaker for each foot";

/// Signs an access token.
pub(crate) fn sign(key: &SigningKey, user_id: UserId, roles: &[Role]) -> String {
    let roles = roles.to_vec();
    key.sign(&Caller { user_id, roles }, now()).unwrap()
}

/// The settings of a spike that is open now, some of them changed.
pub(crate) fn settings(changes: Value) -> Value {
    let opened_at = now() - Duration::from_secs(1);
    let mut settings = json!({
        "name": "Shoes",
        "description": "",
        "stock": 3,
        "limit_per_user": 2,
        "price": { "amount_minor": 4900, "currency": "EUR" },
        "starts_at": opened_at,
        "ends_at": opened_at + Duration::from_hours(1),
        "pay_within_secs": 900,
        "rules": [],
    });
    let Value::Object(changes) = changes else {
        panic!("settings are an object");
    };
    settings.as_object_mut().unwrap().extend(changes);
    settings
}
