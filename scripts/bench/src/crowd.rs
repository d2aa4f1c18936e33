//! B3: the race, against `local` and against a bare server that is asked the same.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, ensure};
use axum::{
    Router,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use domain::{OrderId, SpikeId, Timestamp};
use http::{StatusCode, header};
use race::{
    buyer::Sale,
    client::Client,
    funnel::{Funnel, Step},
    progress::Progress,
    users::Buyer,
};
use tokio::{sync::oneshot, time::Instant};

use crate::{
    bare,
    compare::{Bound, Finding, aba},
};

const BUYERS: usize = 10_000;
const UNITS: u32 = 100;
const WINDOW: Duration = Duration::from_secs(1);
const CONNECTIONS: usize = 512;

/// As long as an access token is, so that as much is sent.
const BEARER_BYTES: usize = 700;

/// B3.
pub(crate) async fn race() -> anyhow::Result<Vec<Finding>> {
    let shop = Shop::open().await?;
    let options = race::Options {
        base_url: shop.base_url.clone(),
        admin: shop.admin.clone(),
        signing_key: Some(shop.signing_key_file.clone()),
        tokens: None,
        buyers: BUYERS,
        units: UNITS,
        quantity: 1,
        window_ms: 1000,
        starts_in_secs: 5,
        open_for_secs: 600,
        pay_within_secs: 900,
        patience_secs: 60,
        connections: CONNECTIONS,
        no_cancel: false,
        quiet: true,
    };
    let mut durable_after = Duration::ZERO;
    let compared = aba(
        "B3 p99 of the order, ms",
        async || bare_race().await,
        async || {
            let report = race::run(&options).await?;
            println!("{report}");
            ensure!(report.passed(), "the race did not pass its audit");
            durable_after = durable_after.max(report.durable_after);
            Ok(report.order_p99.as_secs_f64() * 1e3)
        },
    )
    .await?;
    shop.close().await?;
    let details = format!("{:.0} ms over {:.0} ms", compared.b, compared.a);
    let latency = Finding::new(
        "B3 p99 of the order over a bare server's",
        compared.ratio(),
        Bound::Most(2.0),
        details,
    );
    let durable = Finding::new(
        "B3 seconds from the last 202 to all durable",
        durable_after.as_secs_f64(),
        Bound::Most(2.0),
        "as their buyers see it, who ask once a second".to_owned(),
    );
    Ok(vec![latency.noisy(compared.noisy), durable])
}

/// All of `local`, with the rates that are shipped, on a runtime of its own as the bare server is.
struct Shop {
    base_url: String,
    admin: String,
    signing_key_file: PathBuf,
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<anyhow::Result<()>>,
}

impl Shop {
    async fn open() -> anyhow::Result<Self> {
        let (ready, opened) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::task::spawn_blocking(move || {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            let runtime = runtime.thread_name("shipped").enable_all().build()?;
            runtime.block_on(async move {
                let folder = tempfile::tempdir()?;
                let options = local::Options {
                    rates: spike::Rates::default().into(),
                    ..local::testing::options(folder.path())
                };
                let local = local::Local::start(&options).await?;
                let admin = format!("{}:{}", local.admin.username, local.admin.password);
                let key = local.signing_key_file.clone();
                let _ = ready.send((local.base_url.clone(), admin, key));
                // An error is the sender's end, which is the signal too.
                let _ = stopped.await;
                local.stop().await
            })
        });
        let (base_url, admin, signing_key_file) = opened.await.context("`local` did not start")?;
        Ok(Self {
            base_url,
            admin,
            signing_key_file,
            stop,
            ended,
        })
    }

    async fn close(self) -> anyhow::Result<()> {
        let _ = self.stop.send(());
        self.ended.await?
    }
}

/// The same buyers at a server that knows every answer. Its p99 of the order in milliseconds.
async fn bare_race() -> anyhow::Result<f64> {
    let server = bare::bare(routes()).await?;
    let bearer = race::api::bearer(&"x".repeat(BEARER_BYTES))?;
    let buyers: Vec<Buyer> = (0..BUYERS)
        .map(|index| Buyer {
            username: index.to_string(),
            bearer: bearer.clone(),
        })
        .collect();
    let sale = Arc::new(Sale {
        client: Arc::new(Client::new(&server.base_url, CONNECTIONS)?),
        spike_id: SpikeId::mint(Timestamp::from_millis(0), [0; 10]),
        quantity: 1,
        patience: Duration::from_mins(1),
        funnel: Funnel::default(),
        progress: Progress::new(true),
    });
    let starts_at = Instant::now() + Duration::from_secs(1);
    sale.stampede(&buyers, starts_at, WINDOW).await?;
    Ok(sale.funnel.p99(Step::Order).as_secs_f64() * 1e3)
}

/// Every route that a buyer asks, with answers of the size that Spike gives.
fn routes() -> Router {
    const JSON: (header::HeaderName, &str) = (header::CONTENT_TYPE, "application/json");
    let order_id = OrderId::mint(Timestamp::from_millis(0), [0; 10]);
    let accepted = format!(r#"{{"order_id":"{order_id}","quantity":1}}"#);
    let view = format!(
        r#"{{"order_id":"{order_id}","state":"placed","units":[1],"padding":"{:200}"}}"#,
        ""
    );
    let sold = Arc::new(AtomicU32::new(0));
    let order = move || async move {
        if sold.fetch_add(1, Ordering::Relaxed) < UNITS {
            let location = (header::LOCATION, "/spikes/any/order");
            return (StatusCode::ACCEPTED, [JSON, location], accepted).into_response();
        }
        let body =
            r#"{"type":"/problems/sold-out","title":"Sold out","status":409,"code":"sold-out"}"#;
        (StatusCode::CONFLICT, [JSON], body).into_response()
    };
    let read = move || async move { ([JSON], view) };
    let token = || async {
        json(r#"{"token":"0123456789012345678901","server_time":"2026-11-22T10:00:00.000Z"}"#)
    };
    Router::new()
        .route(
            "/spikes/{spike_id}/access",
            get(|| async { json(r#"{"allowed":true,"reason":null}"#) }),
        )
        .route("/spikes/{spike_id}/token", post(token))
        .route("/spikes/{spike_id}/orders/{token}", post(order))
        .route("/spikes/{spike_id}/order", get(read.clone()))
        .route("/orders/{order_id}", get(read))
}

fn json(body: &'static str) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
