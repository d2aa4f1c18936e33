//! B1 and B2: winners and refusals per second through `spike`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Context as _, ensure};
use http::{HeaderMap, StatusCode, header};
use race::client::{Answer, Client, Request};
use tokio::process::Command;

use crate::{
    bare::{self, Server},
    compare::{Bound, Finding, aba},
    load,
    parts::Parts,
};

/// Winners of one measurement; each needs an account and a token of its own.
const WINNERS: usize = 20_000;
/// Buyers who are refused in turn.
const REFUSED: usize = 2_000;
/// How long refusals are counted.
const TIME: Duration = Duration::from_secs(5);
/// Calls of the script.
const CALLS: u32 = 100_000;

/// What `redis-benchmark` calls: the script as it is shipped.
const RESERVE: &str = include_str!("../../../shared/stock/src/lua/reserve.lua");

/// B1.
pub(crate) async fn winners() -> anyhow::Result<Vec<Finding>> {
    let parts = Parts::start().await?;
    let buyers = parts.buyers(WINNERS + 1).await?;
    let (first, buyers) = buyers.split_first().context("no buyers")?;

    let sample = parts.sale(1).await?;
    let spike = bare::shipped(parts.spike()?).await?;
    let order = parts.orders(sample.id, std::slice::from_ref(first))?;
    let won = one_answer(&spike, &order[0]).await?;
    ensure!(
        won.status == StatusCode::ACCEPTED,
        "the sample was answered {}",
        won.outcome()
    );
    let bare = same_answer(&won).await?;

    let script = AtomicU64::new(0);
    let compared = aba(
        "B1 winners/s",
        async || {
            let requests = Arc::new(parts.orders(sample.id, buyers)?);
            let bare = load::once(&bare.base_url, &requests, StatusCode::ACCEPTED).await?;
            let calls = script_calls(&parts).await?;
            script.store(calls.to_bits(), Relaxed);
            Ok(1.0 / (1.0 / bare + 1.0 / calls))
        },
        async || {
            // A new instance: every winner's token is verified for the first time.
            let spike = bare::shipped(parts.spike()?).await?;
            let sale = parts.sale(u32::try_from(WINNERS)?).await?;
            let requests = Arc::new(parts.orders(sale.id, buyers)?);
            load::once(&spike.base_url, &requests, StatusCode::ACCEPTED).await
        },
    )
    .await?;
    parts.stop().await?;
    let details = format!(
        "{:.0} winners/s of {:.0}; the script alone {:.0}/s",
        compared.b,
        compared.a,
        f64::from_bits(script.into_inner())
    );
    let finding = Finding::new(
        "B1 winners over the series bound",
        compared.ratio(),
        Bound::Least(0.70),
        details,
    );
    Ok(vec![finding.noisy(compared.noisy)])
}

/// B2.
pub(crate) async fn refusals() -> anyhow::Result<Vec<Finding>> {
    let parts = Parts::start().await?;
    let buyers = parts.buyers(REFUSED + 1).await?;
    let (winner, buyers) = buyers.split_first().context("no buyers")?;
    let spike = bare::shipped(parts.spike()?).await?;

    let sale = parts.sale(1).await?;
    let won = parts.orders(sale.id, std::slice::from_ref(winner))?;
    let won = one_answer(&spike, &won[0]).await?;
    ensure!(
        won.status == StatusCode::ACCEPTED,
        "the winner was answered {}",
        won.outcome()
    );
    let sold_out = refusal(
        "B2 sold-out refusals over a bare 409",
        &spike,
        Arc::new(parts.orders(sale.id, buyers)?),
        StatusCode::CONFLICT,
        0.90,
    );
    let sold_out = sold_out.await?;

    // What comes after the check of the token: the buyer's own limit of five tries a second. The sale is open, so no flag
    // refuses before.
    let sale = parts.sale(10).await?;
    let request = parts
        .orders(sale.id, std::slice::from_ref(winner))?
        .remove(0);
    for _ in 0..20 {
        one_answer(&spike, &request).await?;
    }
    let slow_down = refusal(
        "B2 refusals after a cached token check",
        &spike,
        Arc::new(vec![request]),
        StatusCode::TOO_MANY_REQUESTS,
        0.75,
    );
    let slow_down = slow_down.await?;
    drop(spike);
    parts.stop().await?;
    Ok(vec![sold_out, slow_down])
}

async fn refusal(
    name: &'static str,
    spike: &Server,
    requests: Arc<Vec<Request>>,
    status: StatusCode,
    bound: f64,
) -> anyhow::Result<Finding> {
    let mut sample = one_answer(spike, &requests[0]).await?;
    while sample.status != status {
        sample = one_answer(spike, &requests[0]).await?;
    }
    let bare = same_answer(&sample).await?;
    let compared = aba(
        name,
        async || load::repeatedly(&bare.base_url, &requests, status, TIME).await,
        async || load::repeatedly(&spike.base_url, &requests, status, TIME).await,
    )
    .await?;
    let details = format!("{:.0}/s of {:.0}/s", compared.b, compared.a);
    let finding = Finding::new(name, compared.ratio(), Bound::Least(bound), details);
    Ok(finding.noisy(compared.noisy))
}

async fn one_answer(server: &Server, request: &Request) -> anyhow::Result<Answer> {
    Client::new(&server.base_url, 1)?.send(request).await
}

/// A bare server that gives every request this answer.
async fn same_answer(answer: &Answer) -> anyhow::Result<Server> {
    let mut headers: HeaderMap = answer.headers.clone();
    for made_by_the_server in [header::DATE, header::CONTENT_LENGTH, header::CONNECTION] {
        headers.remove(made_by_the_server);
    }
    bare::bare(bare::always(answer.status, headers, answer.body.clone())).await
}

/// E: how often a second `redis-benchmark` gets units from the same Redis by the same script.
async fn script_calls(parts: &Parts) -> anyhow::Result<f64> {
    let sale = parts.sale(domain::spike::MAX_STOCK).await?;
    let url = parts.redis.url()?;
    let client = redis::Client::open(url.as_str().replacen("redis+unix", "unix", 1))?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let mut load = redis::cmd("SCRIPT");
    let sha: String = load
        .arg("LOAD")
        .arg(RESERVE)
        .query_async(&mut connection)
        .await?;
    let key = |name: &str| format!("spike:{{{}}}:{name}", sale.id);
    // `redis-benchmark` puts twelve random digits in this place, others in each.
    let id = "00000000-0000-7000-8000-__rand_int__";
    let mut command = Command::new("redis-benchmark");
    command.args(["-s", url.path(), "-c", "50", "-r", "1000000000", "-q"]);
    command.args(["-n", &CALLS.to_string(), "EVALSHA", &sha, "6"]);
    command.args(["sale", "buyers", "held", "pending", "free"].map(key));
    command.args([&key(&format!("access:{id}")), id, id, "1"]);
    let output = command.output().await.context("redis-benchmark")?;
    let left = parts
        .stock
        .sale(sale.id)
        .await?
        .context("the sale has gone")?;
    ensure!(
        left.next > CALLS / 2,
        "the script handed out {} units of {CALLS}",
        left.next
    );
    let text = String::from_utf8_lossy(&output.stdout);
    let (before, _) = text
        .rsplit_once(" requests per second")
        .context("no result")?;
    let rate = before.rsplit([' ', ':']).next().unwrap_or_default();
    rate.parse().with_context(|| format!("not a rate: {rate}"))
}
