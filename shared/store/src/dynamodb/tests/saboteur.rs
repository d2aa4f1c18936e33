//! A client that stands between the adapter and the engine, and lets happen what engines on one machine never do.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use aws_sdk_dynamodb::config::{
    HttpClient, RuntimeComponents, SharedHttpClient,
    http::{HttpRequest, HttpResponse},
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    result::ConnectorError,
};
use serde_json::{Value, json};

use super::DynamoStore;
use crate::testing::{Guard, dynamo_store};

/// What happens to one request.
pub(super) enum Fate {
    /// The engine answers.
    Pass,
    /// The engine never sees it, and this comes back: a status and a body.
    Answer(u16, Value),
    /// The connection breaks before the engine sees it.
    LoseRequest,
    /// The engine does it, and the connection breaks before the answer.
    LoseAnswer,
    /// Nothing ever comes back.
    Hang,
}

impl Fate {
    /// An error of the engine.
    pub(super) fn error(status: u16, code: &str) -> Self {
        Self::Answer(
            status,
            json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "no" }),
        )
    }

    /// A cancelled transaction, with these reasons.
    pub(super) fn cancelled(reasons: &[&str]) -> Self {
        let reasons: Vec<Value> = reasons.iter().map(|code| json!({ "Code": code })).collect();
        Self::cancelled_with(&json!(reasons))
    }

    /// A cancelled transaction, with reasons that carry items.
    pub(super) fn cancelled_with(reasons: &Value) -> Self {
        let kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
        Self::Answer(
            400,
            json!({ "__type": kind, "Message": "cancelled", "CancellationReasons": reasons }),
        )
    }
}

/// Decides on a request by how many came before it and by its body.
type Plan = dyn Fn(usize, &str) -> Fate + Send + Sync;

#[derive(Clone)]
struct Saboteur {
    engine: SharedHttpClient,
    connector: Option<SharedHttpConnector>,
    operation: &'static str,
    plan: Arc<Plan>,
    calls: Arc<AtomicUsize>,
}

impl fmt::Debug for Saboteur {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Saboteur")
    }
}

impl HttpClient for Saboteur {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let connector = Some(self.engine.http_connector(settings, components));
        SharedHttpConnector::new(Self {
            connector,
            ..self.clone()
        })
    }
}

impl HttpConnector for Saboteur {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let engine = self.connector.clone().unwrap();
        if !target.ends_with(&format!(".{}", self.operation)) {
            return engine.call(request);
        }
        let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned();
        let fate = (self.plan)(self.calls.fetch_add(1, Ordering::SeqCst), &body);
        HttpConnectorFuture::new(async move {
            let lost = || ConnectorError::io("the connection broke".into());
            match fate {
                Fate::Pass => engine.call(request).await,
                Fate::Answer(status, body) => Ok(HttpResponse::new(
                    status.try_into().unwrap(),
                    body.to_string().into(),
                )),
                Fate::LoseRequest => Err(lost()),
                Fate::LoseAnswer => engine.call(request).await.and(Err(lost())),
                Fate::Hang => std::future::pending().await,
            }
        })
    }
}

/// A store whose requests of one operation go by a plan, and the same store without.
pub(super) struct Sabotaged {
    pub(super) store: DynamoStore,
    pub(super) honest: DynamoStore,
    calls: Arc<AtomicUsize>,
    _guard: Guard,
}

impl Sabotaged {
    pub(super) async fn new(
        operation: &'static str,
        plan: impl Fn(usize, &str) -> Fate + Send + Sync + 'static,
    ) -> Self {
        let (honest, guard) = dynamo_store().await;
        let calls = Arc::new(AtomicUsize::new(0));
        let engine = aws::http_client(false);
        let saboteur = Saboteur {
            engine,
            connector: None,
            operation,
            plan: Arc::new(plan),
            calls: Arc::clone(&calls),
        };
        let url = guard.url();
        let endpoint = format!("http://127.0.0.1:{}", url.port().unwrap());
        let store = DynamoStore::through(SharedHttpClient::new(saboteur), &endpoint);
        Self {
            store,
            honest,
            calls,
            _guard: guard,
        }
    }

    /// The first requests meet these fates, in their order; the others pass.
    pub(super) async fn first(operation: &'static str, fates: Vec<fn() -> Fate>) -> Self {
        Self::new(operation, move |call, _| {
            fates.get(call).map_or(Fate::Pass, |fate| fate())
        })
        .await
    }

    /// How many requests of the operation were sent.
    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}
