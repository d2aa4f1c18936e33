//! The functions as Lambda runs them: binaries that are shipped, behind the emulated AWS of `emulate`.
//!
//! Only counts and ratios are of use here. How long AWS takes to fetch a zip and to make an instance is not among them.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use auth::{PathTokens, SigningKey};
use r#break::guard::Guard;
use bytes::Bytes;
use domain::{Clock, SpikeId};
use emulate::{
    cloud::{Cloud, Options},
    lambda::{Function, Recipe},
    queue::Depth,
};
use race::client::{Client, Request};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::{
    binaries::{build, dist, median, resident_mib},
    compare::{Bound, Finding, aba},
    parts::{Buyer, opened, signed},
};

/// Starts of one measurement; their median counts.
const STARTS: usize = 21;
/// What a start may take beyond the minimal function's, if it is not within the ratio.
const START_MS: f64 = 20.0;
/// Invocations before memory is looked at.
const INVOCATIONS: u32 = 1000;
/// Buyers of one sale, whose orders are to cost the same.
const CROWDS: [usize; 3] = [1_000, 10_000, 100_000];
const UNITS: u32 = 50;
/// An order: three items in one transaction.
const WRITES: f64 = 6.0;
const CONNECTIONS: usize = 8;
const REST: Duration = Duration::from_mins(1);
/// As long as nobody may try again.
const REST_BETWEEN: Duration = Duration::from_millis(250);

/// From exec to the first answer.
pub(crate) async fn start() -> anyhow::Result<Vec<Finding>> {
    let stage = Stage::start(1).await?;
    build(&["--package", "bench", "--example", "minimal-lambda"])?;
    let minimal = stage.minimal(&dist()?.join("examples/minimal-lambda"))?;
    let order = json!({
        "version": "2.0",
        "rawPath": "/spikes/01900000-0000-7000-8000-000000000000/orders/none",
        "rawQueryString": "",
        "headers": { "content-type": "application/json" },
        "body": "{}",
        "requestContext": { "http": { "method": "POST" } },
    });
    let request = Bytes::from(order.to_string());
    let record =
        json!({ "messageId": "1", "body": "{}", "attributes": {}, "eventSource": "aws:sqs" });
    let records = json!({ "Records": [record] });
    let mut findings = Vec::new();
    for (name, function, event) in [
        (
            "Lambda start of spike over a minimal function's",
            "spike",
            order,
        ),
        (
            "Lambda start of order-writer over a minimal function's",
            "order-writer",
            records,
        ),
    ] {
        let function = stage.cloud.function(function);
        let event = Bytes::from(event.to_string());
        let compared = aba(
            name,
            async || median_start(&minimal, &request).await,
            async || median_start(function, &event).await,
        )
        .await?;
        let details = format!("{:.1} ms over {:.1} ms", compared.b, compared.a);
        let finding = Finding::new(name, compared.ratio(), Bound::Most(2.5), details);
        let finding = finding.or(compared.b <= compared.a + START_MS, "+ 20 ms");
        findings.push(finding.noisy(compared.noisy));
    }
    Ok(findings)
}

/// The median time from exec to the first answer, in milliseconds.
async fn median_start(function: &Arc<Function>, event: &Bytes) -> anyhow::Result<f64> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        function.end_idle();
        sleep(Duration::from_millis(20)).await;
        let begun_at = Instant::now();
        function.invoke(event.clone()).await?;
        times.push(begun_at.elapsed());
    }
    Ok(median(times))
}

/// Resident memory of one instance of each after a thousand invocations.
pub(crate) async fn memory() -> anyhow::Result<Vec<Finding>> {
    let stage = Stage::start(1).await?;
    stage.sell(INVOCATIONS, INVOCATIONS as usize, 1).await?;
    let mut findings = Vec::new();
    for (name, function) in [
        ("Lambda MiB resident, spike", "spike"),
        ("Lambda MiB resident, order-writer", "order-writer"),
    ] {
        let function = stage.cloud.function(function);
        let [id] = function.idle()[..] else {
            anyhow::bail!("there is not just one instance");
        };
        let details = format!("after {} invocations", function.counts().invocations);
        let mib = resident_mib(id).await?;
        findings.push(Finding::new(name, mib, Bound::Most(48.0), details));
    }
    Ok(findings)
}

/// What DynamoDB counts for an order and for a refusal, in sales of different sizes.
pub(crate) async fn units() -> anyhow::Result<Vec<Finding>> {
    let stage = Stage::start(CONNECTIONS).await?;
    let mut findings = Vec::new();
    for buyers in CROWDS {
        // What was done before, and what an instance asks once, is not this sale's.
        stage.warm_up().await?;
        let _ = stage.cloud.tables.costs();
        stage.sell(UNITS, buyers, CONNECTIONS).await?;
        let costs = stage.cloud.tables.costs();
        let of = |function: &str| {
            let mine = costs.iter().filter(|((name, _), _)| name == function);
            mine.fold((0, 0.0, 0.0, 0.0), |sum, (_, cost)| {
                let (requests, writes, index_writes, reads) = sum;
                (
                    requests + cost.requests,
                    writes + cost.writes,
                    index_writes + cost.index_writes,
                    reads + cost.reads,
                )
            })
        };
        let (_, writes, index_writes, reads) = of("order-writer");
        let (asked, _, _, read) = of("spike");
        let orders = f64::from(UNITS);
        let details = format!(
            "{buyers} buyers for {UNITS} units; besides, per order {:.1} of indexes and {:.2} read; spike asked {asked} times ({read:.1} read)",
            index_writes / orders,
            reads / orders,
        );
        let per_order = writes / orders;
        let finding = Finding::new(
            "DynamoDB write units per order",
            per_order,
            Bound::Most(WRITES),
            details,
        );
        findings.push(finding);
        // Each instance looks the sale up, and again every ten seconds: never for a buyer.
        let refusals = u32::try_from(buyers)? - UNITS;
        let per_refusal = f64::from(u32::try_from(asked)?) / f64::from(refusals);
        findings.push(Finding::new(
            "DynamoDB requests of spike per refusal",
            per_refusal,
            Bound::Most(0.05),
            format!("{buyers} buyers"),
        ));
    }
    Ok(findings)
}

/// The functions of a purchase.
struct Stage {
    cloud: Cloud,
    guard: Arc<Guard>,
    dir: TempDir,
}

impl Stage {
    async fn start(instances: usize) -> anyhow::Result<Self> {
        let options = Options {
            packages: packages()?,
            port: 0,
            instances_max: instances,
            freezes: false,
            timer_every: Duration::from_hours(1),
            queue: None,
            writers: 1,
            rate: 0,
        };
        let dir = tempfile::tempdir()?;
        let below = dir.path().join("cloud");
        std::fs::create_dir(&below)?;
        let cloud = Cloud::start(&options, &below).await?;
        let guard = Arc::new(Guard::start(&dir.path().join("minimal"))?);
        Ok(Self { cloud, guard, dir })
    }

    fn minimal(&self, binary: &Path) -> anyhow::Result<Arc<Function>> {
        ensure!(binary.is_file(), "{} is missing", binary.display());
        let recipe = Recipe {
            name: "minimal".to_owned(),
            binary: binary.to_owned(),
            environment: std::collections::BTreeMap::new(),
            memory_mb: 128,
            timeout: Duration::from_secs(10),
            instances_max: 1,
            freezes: false,
            log: self.dir.path().join("minimal.log"),
        };
        Ok(Function::new(recipe, Arc::clone(&self.guard)))
    }

    /// Every instance that there may be is started, and the writer.
    async fn warm_up(&self) -> anyhow::Result<()> {
        self.sell(1, CONNECTIONS, CONNECTIONS).await
    }

    /// A sale to its end: every buyer asks once, so many at a time, and what was sold is written.
    async fn sell(&self, units: u32, buyers: usize, at_once: usize) -> anyhow::Result<()> {
        let clock = runtime::clock::system();
        let pem = std::fs::read_to_string(&self.cloud.signing_key_file)?;
        let key = Arc::new(SigningKey::from_pem(&pem, &self.cloud.base_url)?);
        let buyers = signed(&key, clock(), buyers).await?;
        let spike = opened(units, clock())?;
        let added = store::Spikes::add_spike(&self.cloud.store, &spike).await?;
        ensure!(added, "a spike's id is taken");
        let client = Client::new(&self.cloud.base_url, at_once)?;
        let mut won = 0;
        for crowd in buyers.chunks(1000) {
            // A path token is good for a minute or two.
            let orders = orders(&self.cloud.path_token_key, spike.id, crowd, &clock)?;
            let asked = orders.iter().map(async |order| {
                loop {
                    // Who comes first has the sale loaded, and those with them are told to come again.
                    let outcome = client.send(order).await?.outcome();
                    if outcome != "503 loading" {
                        return anyhow::Ok(outcome);
                    }
                    sleep(REST_BETWEEN).await;
                }
            });
            for outcome in futures::future::join_all(asked).await {
                match outcome?.as_str() {
                    "202" => won += 1,
                    "409 sold-out" => {}
                    outcome => anyhow::bail!("an order was answered with {outcome}"),
                }
            }
        }
        ensure!(
            won == units.min(u32::try_from(buyers.len())?),
            "{won} of {units} were sold"
        );
        let until = Instant::now() + REST;
        let empty = Depth {
            visible: 0,
            hidden: 0,
        };
        while self.cloud.orders.depth() != empty {
            ensure!(Instant::now() < until, "the orders are not written");
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

fn orders(
    key: &str,
    spike_id: SpikeId,
    buyers: &[Buyer],
    clock: &Clock,
) -> anyhow::Result<Vec<Request>> {
    let tokens = PathTokens::new(key.as_bytes())?;
    let now = clock();
    let orders = buyers.iter().map(|buyer| {
        let token = tokens.token(spike_id, buyer.user_id, now);
        Request::post(format!("/spikes/{spike_id}/orders/{token}"))
            .bearer(&buyer.bearer)
            .body("application/json", r#"{"quantity":1}"#)
    });
    Ok(orders.collect())
}

/// Builds the functions for this machine, as they are shipped: all, so that `cost` finds them built.
fn packages() -> anyhow::Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let out = dist()?.join("lambda");
    println!("building packages in profile dist, which takes minutes");
    let arch = match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "x86-64",
    };
    let status = std::process::Command::new(root.join("scripts/package-lambda"))
        .args(["--arch", arch, "--out"])
        .arg(&out)
        .status();
    let status = status.context("cannot start scripts/package-lambda")?;
    ensure!(status.success(), "scripts/package-lambda failed");
    Ok(out)
}
