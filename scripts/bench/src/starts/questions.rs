//! What each function is asked first: something that it cannot answer without its store or Redis, where it has them.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use anyhow::{Context as _, bail};
use auth::{Caller, Passwords, SigningKey};
use domain::{OrderId, OrderPlaced, Role, SpikeId, User, UserId};
use http::{HeaderMap, StatusCode};
use prewarm::testing::Cluster;
use store::Store;

use crate::{
    bare::{self, Server},
    parts::{Buyer, ISSUER, PATH_TOKEN_KEY, Parts},
};

/// All of them.
pub(super) const FUNCTIONS: [&str; 18] = [
    "access-check",
    "admin-spikes",
    "admin-users",
    "dead-letter",
    "keys",
    "login",
    "order-cancel",
    "order-pay",
    "order-query",
    "order-writer",
    "prewarm",
    "refresh",
    "register",
    "spike",
    "spike-list",
    "spike-token",
    "sweeper",
    "web",
];

/// What `prewarm` scales.
const HOT: [&str; 3] = ["spike", "spike-token", "access-check"];

const USERNAME: &str = "ada";
const PASSWORD: &str = "a sneaker for each foot";

/// A request, and the status of its answer.
pub(super) struct Question {
    pub(super) request: String,
    pub(super) expected: u16,
}

/// What functions are started in.
pub(super) struct World {
    pub(super) environment: Vec<(&'static str, String)>,
    parts: Parts,
    _database: store::testing::MariaDb,
    _broker: Server,
    _cluster: Cluster,
    spike_id: SpikeId,
    event: OrderPlaced,
    buyer: Buyer,
    admin: String,
    /// How many have registered.
    registered: AtomicU32,
}

impl World {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let parts = Parts::start().await?;
        let database = store::testing::mariadb();
        let url = database.database().await;
        let store: Arc<dyn Store> = store::prepare(&url).await?;
        let sale = parts.sale_in(&*store, 100).await?;
        let event = parts.events(sale.id, 1, 1).remove(0);
        let buyer = parts.buyers(1).await?.remove(0);
        let ack = bare::always(StatusCode::ACCEPTED, HeaderMap::new(), bytes::Bytes::new());
        let broker = bare::bare(ack).await?;
        let admin = person(&parts).await?;
        let caller = Caller {
            user_id: admin.id,
            roles: admin.roles.clone(),
        };
        store.add_users(&[admin]).await?;
        let admin = parts.key.sign(&caller, parts.stock.now())?;
        let cluster = Cluster::of(&HOT).await;
        let mut environment = vec![
            ("STOCK_URL", parts.redis.url()?.to_string()),
            ("STORE_URL", url.to_string()),
            ("EVENTS_URL", format!("{}/", broker.base_url)),
            ("ACCESS_TOKEN_KEYS", parts.keys()?),
            ("ISSUER", ISSUER.to_owned()),
            // A run of the sweeper answers at its end, and else goes on for as long as a sale is open.
            ("REPEAT_SECS", "0".to_owned()),
            ("SIGNING_KEY", SigningKey::generate_pem()?),
            ("PATH_TOKEN_KEY", PATH_TOKEN_KEY.to_owned()),
            ("RUST_LOG", "warn".to_owned()),
        ];
        environment.extend(cluster.environment());
        Ok(Self {
            environment,
            parts,
            _database: database,
            _broker: broker,
            _cluster: cluster,
            spike_id: sale.id,
            event,
            buyer,
            admin,
            registered: AtomicU32::new(0),
        })
    }

    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.parts.stop().await
    }

    /// What the function is asked; of `register` somebody else each time.
    pub(super) fn question(&self, function: &str) -> anyhow::Result<Question> {
        let buyer = self.buyer.bearer.to_str()?;
        let admin = format!("Bearer {}", self.admin);
        let (spike_id, nobodys) = (
            self.spike_id,
            OrderId::mint(self.parts.stock.now(), auth::random()),
        );
        let get = |path: &str, bearer: &str| request("GET", path, bearer, "", "");
        let post = |path: &str, bearer: &str, body: &str| {
            request("POST", path, bearer, "application/json", body)
        };
        let (request, expected) = match function {
            "keys" => (get("/.well-known/jwks.json", ""), 200),
            "web" => (get("/", ""), 200),
            "register" => {
                let number = self.registered.fetch_add(1, Relaxed);
                (
                    post("/users", "", &account(&format!("buyer-{number}"))),
                    201,
                )
            }
            "login" => (post("/users/login", "", &account(USERNAME)), 200),
            "refresh" => {
                let token = auth::refresh_token::mint().text;
                let body = serde_json::json!({ "refresh_token": token }).to_string();
                (post("/users/refresh", "", &body), 401)
            }
            "spike-list" => (get("/spikes", ""), 200),
            "access-check" => (get(&format!("/spikes/{spike_id}/access"), buyer), 200),
            "spike-token" => (post(&format!("/spikes/{spike_id}/token"), buyer, ""), 200),
            "spike" => (post(&self.order_path()?, buyer, ""), 202),
            "order-writer" => {
                let event = String::from_utf8(events::envelope::write(&self.event))?;
                let path = "/events/order-placed";
                (
                    request("POST", path, "", "application/cloudevents+json", &event),
                    204,
                )
            }
            "order-query" => (get("/orders", buyer), 200),
            "order-pay" => {
                let body = r#"{"method":"test-approve"}"#;
                (post(&format!("/orders/{nobodys}/pay"), buyer, body), 404)
            }
            "order-cancel" => (post(&format!("/orders/{nobodys}/cancel"), buyer, ""), 404),
            "admin-spikes" => (get("/admin/spikes", &admin), 200),
            "admin-users" => (get("/admin/users", &admin), 200),
            "dead-letter" => (get("/admin/dead-letters", &admin), 200),
            "sweeper" => (post("/timers/sweep", "", ""), 200),
            "prewarm" => (post("/timers/prewarm", "", ""), 200),
            other => bail!("nothing to ask {other}"),
        };
        Ok(Question { request, expected })
    }

    fn order_path(&self) -> anyhow::Result<String> {
        let tokens = auth::PathTokens::new(PATH_TOKEN_KEY.as_bytes())?;
        let now = self.parts.stock.now();
        let token = tokens.token(self.spike_id, self.buyer.user_id, now);
        Ok(format!("/spikes/{}/orders/{token}", self.spike_id))
    }
}

fn account(username: &str) -> String {
    serde_json::json!({ "username": username, "password": PASSWORD }).to_string()
}

fn request(method: &str, path: &str, bearer: &str, content_type: &str, body: &str) -> String {
    let field = |name: &str, value: &str| match value {
        "" => String::new(),
        value => format!("{name}: {value}\r\n"),
    };
    let fields = [
        field("authorization", bearer),
        field("content-type", content_type),
        field("content-length", &body.len().to_string()),
    ];
    let fields = fields.concat();
    format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n{fields}\r\n{body}")
}

/// Somebody who may do everything, with an account.
async fn person(parts: &Parts) -> anyhow::Result<User> {
    let now = parts.stock.now();
    let hash = Passwords::new(1).hash(PASSWORD).await;
    Ok(User {
        id: UserId::mint(now, auth::random()),
        username: USERNAME.parse()?,
        password_hash: Some(hash.context("the password")?),
        credentials_version: 1,
        display_name: None,
        attributes: serde_json::Map::new(),
        roles: vec![Role::Admin],
        version: 1,
        created_at: now,
    })
}
