//! A running sale behind the function's router.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use auth::{PathTokens, testing};
use axum::{
    body::Body,
    http::{HeaderMap, Request, StatusCode, request::Builder},
};
use domain::{Clock, OrderId, SpikeId, Timestamp, UserId, spike::Settings};
use events::{EventSink, testing::Recorder};
use http_body_util::BodyExt;
use sale::testing::Sale;
use serde_json::{Value, json};
use stock::Stock;
use store::Store;
use tower::ServiceExt;

use crate::{AppState, Parts, Rates};

/// Buckets that stand in nobody's way.
pub(super) const NO_BUCKET: Rates = Rates {
    burst_per_unit: 0,
    refill_per_unit: 0,
};

pub(super) struct Shop {
    pub(super) sale: Sale,
    pub(super) sink: Arc<Recorder>,
    /// The instance's own clock in ms: ages flags, buckets and caches.
    pub(super) ms: Arc<AtomicI64>,
    pub(super) app: runtime::App,
}

pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl Shop {
    pub(super) async fn of(units: u32) -> Self {
        Self::with(NO_BUCKET, |settings| settings.stock = units).await
    }

    pub(super) async fn with(rates: Rates, change: impl FnOnce(&mut Settings)) -> Self {
        let sale = Sale::with(change).await;
        let sink = Arc::new(Recorder::default());
        let ms = Arc::new(AtomicI64::new(1_700_000_000_000));
        let read = Arc::clone(&ms);
        let clock: Clock = Arc::new(move || Timestamp::from_millis(read.load(Ordering::SeqCst)));
        let app = app(&sale.stock, &sale.store, sink.clone(), clock, rates);
        Self {
            sale,
            sink,
            ms,
            app,
        }
    }

    /// Another instance over the same Redis and store, with this sink.
    pub(super) fn instance(&self, sink: Arc<dyn EventSink>) -> runtime::App {
        app(
            &self.sale.stock,
            &self.sale.store,
            sink,
            stock::testing::clock(),
            NO_BUCKET,
        )
    }

    pub(super) fn pass(&self, ms: i64) {
        self.ms.fetch_add(ms, Ordering::SeqCst);
    }

    pub(super) fn location(&self) -> String {
        format!("/spikes/{}/order", self.sale.spike.id)
    }

    /// A purchase with everything that belongs to it.
    pub(super) fn purchase(&self, user_id: UserId) -> Builder {
        self.purchase_at(self.sale.spike.id, user_id)
    }

    pub(super) fn purchase_at(&self, spike_id: SpikeId, user_id: UserId) -> Builder {
        let now = self.sale.stock.now();
        let path_token = path_tokens().token(spike_id, user_id, now);
        let token = testing::token_for(user_id, &[], now);
        Request::post(format!("/spikes/{spike_id}/orders/{path_token}"))
            .header("authorization", format!("Bearer {token}"))
    }

    pub(super) async fn buy(&self, user_id: UserId) -> Answer {
        self.send(self.purchase(user_id).body(Body::empty()).unwrap())
            .await
    }

    pub(super) async fn buy_many(&self, user_id: UserId, quantity: u32) -> Answer {
        let body = json!({ "quantity": quantity }).to_string();
        self.buy_with(user_id, body).await
    }

    pub(super) async fn buy_with(&self, user_id: UserId, body: impl Into<Body>) -> Answer {
        let request = self
            .purchase(user_id)
            .header("content-type", "application/json");
        self.send(request.body(body.into()).unwrap()).await
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        send(&self.app, request).await
    }
}

pub(super) async fn send(app: &runtime::App, request: Request<Body>) -> Answer {
    let (parts, body) = app.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body = serde_json::from_slice(&body).unwrap();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body,
    }
}

impl Answer {
    /// Checks status and content type of a success; its order.
    pub(super) fn order_id(&self) -> OrderId {
        assert_eq!(self.status, StatusCode::ACCEPTED, "{}", self.body);
        assert_eq!(self.headers["content-type"], "application/json");
        self.body["order_id"].as_str().unwrap().parse().unwrap()
    }

    /// Checks that this is the problem document of a code.
    pub(super) fn assert_problem(&self, status: u16, code: &str) -> &Self {
        assert_eq!(
            (self.status.as_u16(), &self.body["code"]),
            (status, &json!(code)),
            "{}",
            self.body
        );
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(
            self.headers.contains_key("retry-after"),
            [425, 429, 503].contains(&status)
        );
        self
    }
}

pub(super) fn path_tokens() -> PathTokens {
    PathTokens::new(&[7; 32]).unwrap()
}

fn app(
    stock: &Stock,
    store: &Arc<dyn Store>,
    sink: Arc<dyn EventSink>,
    clock: Clock,
    rates: Rates,
) -> runtime::App {
    let parts = Parts {
        stock: stock.clone(),
        store: Arc::clone(store),
        sink,
        verifier: testing::authenticator(stock.clock()).verifier,
        path_tokens: path_tokens(),
        clock,
        random: Arc::new(auth::random),
        rates: rates.into(),
    };
    runtime::app(crate::router(AppState::new(parts)))
}
