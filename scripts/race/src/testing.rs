//! Servers for tests.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
    routing::any,
};
use domain::{OrderId, SpikeId, Timestamp};
use serde_json::{Value, json};

use crate::{
    api,
    buyer::Sale,
    client::{Client, lock},
    funnel::Funnel,
    progress::Progress,
    users::Buyer,
};

/// Serves `router` on a free port and answers with its address.
pub(crate) async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let app = runtime::app(router);
    let limits = runtime::limit::Limits::default();
    let never = std::future::pending();
    tokio::spawn(runtime::server::serve_on(listener, app, limits, never));
    base_url
}

/// A system that sells one spike, and may be told to do one thing wrong.
#[derive(Default)]
pub(crate) struct Shop {
    pub(crate) units: u32,
    /// This answer, to all requests of this method whose path ends so.
    pub(crate) instead: Option<(Method, &'static str, u16, Value)>,
    /// Units beyond `units` that are sold once something was cancelled.
    pub(crate) oversold: u32,
    /// Nobody can order once something was cancelled.
    pub(crate) closes: bool,
    /// The first two buyers get the same unit.
    pub(crate) same_unit: bool,
}

/// A shop and what it has sold, by the buyers' headers.
struct Open {
    shop: Shop,
    orders: Mutex<BTreeMap<String, Order>>,
}

#[derive(Clone)]
struct Order {
    id: OrderId,
    state: &'static str,
    unit: u32,
}

impl Shop {
    /// A sale in this shop, with buyers of little patience.
    pub(crate) async fn sale(self, quantity: u32) -> Arc<Sale> {
        let router = Router::new().route("/{*path}", any(answer));
        let open = Open {
            shop: self,
            orders: Mutex::default(),
        };
        let base_url = serve(router.with_state(Arc::new(open))).await;
        Arc::new(Sale {
            client: Arc::new(Client::new(&base_url, 8).unwrap()),
            spike_id: SpikeId::mint(Timestamp::from_millis(1), [1; 10]),
            quantity,
            patience: Duration::from_millis(500),
            funnel: Funnel::default(),
            progress: Progress::new(true),
        })
    }
}

impl Open {
    fn answer(&self, method: &Method, path: &str, who: &str) -> (u16, Value) {
        if let Some((of, end, status, body)) = &self.shop.instead
            && of == method
            && path.ends_with(end)
        {
            return (*status, body.clone());
        }
        let mut orders = lock(&self.orders);
        let mine = |orders: &BTreeMap<String, Order>| match orders.get(who) {
            Some(order) => (200, view(order)),
            None => (404, json!({ "code": "no-order" })),
        };
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        match (method.as_str(), &segments[..]) {
            (_, ["users", "login"]) => {
                let tokens =
                    json!({ "access_token": "admin", "refresh_token": "", "expires_in_secs": 60 });
                (200, tokens)
            }
            (_, ["admin", ..]) => (200, self.stats(&orders)),
            (_, ["spikes", _, "access"]) => (200, json!({ "allowed": true })),
            (_, ["spikes", _, "token"]) => (200, json!({ "token": "t" })),
            (_, ["spikes", _, "orders", _]) => self.order(&mut orders, who),
            ("GET", ["spikes", _, "order"] | ["orders", _]) => mine(&orders),
            ("GET", ["orders"]) => {
                let all: Vec<Value> = orders.get(who).iter().map(|order| view(order)).collect();
                (200, json!({ "orders": all, "next": null }))
            }
            ("POST", ["orders", _, "cancel"]) => {
                orders.get_mut(who).unwrap().state = "cancelled";
                mine(&orders)
            }
            _ => (404, json!({ "code": "not-found" })),
        }
    }

    fn order(&self, orders: &mut BTreeMap<String, Order>, who: &str) -> (u16, Value) {
        if let Some(order) = orders.get(who) {
            return (202, json!({ "order_id": order.id }));
        }
        let cancelled = orders.values().any(|order| order.state == "cancelled");
        if cancelled && self.shop.closes {
            return (410, json!({ "code": "ended" }));
        }
        let top = self.shop.units + if cancelled { self.shop.oversold } else { 0 };
        let held = |unit: &u32| live(orders).any(|order| order.unit == *unit);
        let Some(mut unit) = (1..=top).find(|unit| !held(unit)) else {
            return (409, json!({ "code": "sold-out" }));
        };
        if self.shop.same_unit && orders.len() == 1 {
            unit = 1;
        }
        let id = OrderId::mint(Timestamp::from_millis(1), auth::random());
        let state = "placed";
        orders.insert(who.to_owned(), Order { id, state, unit });
        (202, json!({ "order_id": id }))
    }

    fn stats(&self, orders: &BTreeMap<String, Order>) -> Value {
        let held = live(orders).count();
        let free = u64::from(self.shop.units).saturating_sub(held as u64);
        json!({
            "redis": { "free": free, "buyers": held, "pending": 0 },
            "store": { "free": free, "held": held },
            "free_differs": 0,
            "balance": { "queued": 0, "placed": held, "paid": 0, "settling": 0, "balances": true },
        })
    }
}

fn live(orders: &BTreeMap<String, Order>) -> impl Iterator<Item = &Order> {
    orders.values().filter(|order| order.state == "placed")
}

fn view(order: &Order) -> Value {
    let spike_id = SpikeId::mint(Timestamp::from_millis(1), [1; 10]);
    json!({ "order_id": order.id, "state": order.state, "spike_id": spike_id, "units": [order.unit] })
}

async fn answer(
    State(open): State<Arc<Open>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let who = headers.get(header::AUTHORIZATION);
    let who = who.map_or("", |who| who.to_str().unwrap());
    let (status, body) = open.answer(&method, uri.path(), who);
    (StatusCode::from_u16(status).unwrap(), body.to_string()).into_response()
}

/// Buyers with these numbers.
pub(crate) fn buyers(numbers: std::ops::Range<usize>) -> Vec<Buyer> {
    let buyers = numbers.map(|number| Buyer {
        username: format!("buyer-{number}"),
        bearer: api::bearer(&format!("{number}")).unwrap(),
    });
    buyers.collect()
}
