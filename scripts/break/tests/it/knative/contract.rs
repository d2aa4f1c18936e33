//! The container contract (<https://github.com/knative/specs/blob/main/specs/serving/runtime-contract.md>), of every function.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use anyhow::{Context as _, ensure};
use r#break::{
    fleet::Fleet,
    scenarios::all_is_well,
    service::{DEADLINE, Life, Service, Signal},
    shop::{Shop, Terms},
};
use bytes::Bytes;
use futures::future::try_join_all;
use http::{Request, Version};
use http_body_util::Full;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use store::testing::free_port;
use tokio::time::{Instant, sleep};

const FUNCTIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../functions");
/// In the flags of an open file: it may be written to (`O_WRONLY` and `O_RDWR`).
const MAY_WRITE: u32 = 0o3;

/// All functions that there are, and each where `PORT` says.
pub(super) async fn a_function_listens_on_the_port_that_it_is_told(
    fleet: &Fleet,
) -> anyhow::Result<()> {
    let mut running = BTreeSet::new();
    for function in started(fleet).await? {
        let status = health(function, Version::HTTP_11).await?;
        ensure!(status == 200, "{}: {status}", function.name);
        running.insert(function.name.trim_start_matches("second-").to_owned());
    }
    let mut folders = BTreeSet::new();
    for folder in fs::read_dir(FUNCTIONS)? {
        folders.insert(folder?.file_name().to_string_lossy().into_owned());
    }
    ensure!(
        running == folders,
        "{running:?} run, and there are {folders:?}"
    );
    Ok(())
}

/// Without TLS, and without being asked to upgrade: that is how Knative's network speaks HTTP/2.
pub(super) async fn a_function_speaks_http_1_and_h2c_on_that_port(
    fleet: &Fleet,
) -> anyhow::Result<()> {
    for function in started(fleet).await? {
        for version in [Version::HTTP_11, Version::HTTP_2] {
            let status = health(function, version).await?;
            ensure!(status == 200, "{} by {version:?}: {status}", function.name);
        }
    }
    Ok(())
}

/// Redis is not there when it starts: it serves all the same, and what needs Redis is told to come back, until it is there. A
/// whole fleet that is not ready because one server restarts would make a longer pause of it.
pub(super) async fn a_function_serves_while_redis_is_away_and_finds_it_again(
    fleet: &Fleet,
) -> anyhow::Result<()> {
    let shop = Shop::open(fleet, Terms::units(1)).await?;
    let buyer = &fleet.buyers[0];
    let asked = async || {
        let path = format!("/spikes/{}/token", shop.spike_id);
        let token = race::client::Request::post(path).bearer(&buyer.bearer);
        fleet.client.send(&token).await
    };
    let function = fleet.function("spike-token");
    fleet.front_wire.switch(free_port()?);
    let killed = function.kill().await;
    let status = health(function, Version::HTTP_11).await;
    let answer = asked().await;
    let redis = fleet.redis.lock().await.port;
    fleet.front_wire.switch(redis);
    killed?;
    let (status, answer) = (status?, answer?);
    ensure!(status == 200, "without Redis its health is {status}");
    ensure!(answer.status == 503, "without Redis: {}", answer.outcome());
    ensure!(answer.retry_after().is_some(), "a 503 without Retry-After");
    let before = function.life();
    let until = Instant::now() + DEADLINE;
    while asked().await?.status != 200 {
        ensure!(Instant::now() < until, "Redis is there, and not found");
        sleep(Duration::from_millis(50)).await;
    }
    ensure!(function.life().starts == before.starts, "it has ended");
    Ok(())
}

/// All at once.
pub(super) async fn a_function_that_is_told_to_stop_is_not_ready_first_drains_and_ends_with_success(
    fleet: &Fleet,
) -> anyhow::Result<()> {
    let stopped = started(fleet).await?.into_iter().map(async |function| {
        let before = function.life();
        function.signal(Signal::TERM);
        let again = |life: &Life| life.drained > before.drained && life.ready;
        let life = function.until("ends with success and runs again", again);
        let life = life.await?;
        ensure!(
            life.unready == before.unready + 1 && life.failed == before.failed,
            "{}: {before:?}, then {life:?}",
            function.name
        );
        Ok(())
    });
    try_join_all(stopped).await.map(drop)
}

/// Its working directory is one in which nothing can be made, and there is no file open that it may write to, but its log.
pub(super) async fn a_function_keeps_nothing_on_its_disk(fleet: &Fleet) -> anyhow::Result<()> {
    let shop = Shop::open(fleet, Terms::units(10)).await?;
    let crowd = shop.crowd(0, 20, Duration::from_secs(1));
    all_is_well(&shop, &crowd.ends().await).await?;
    let nowhere = fleet.dir.join("nowhere");
    let made = fs::read_dir(&nowhere)?.count();
    ensure!(made == 0, "{made} files in the working directory");
    if !Path::new("/proc/self/fdinfo").exists() {
        return Ok(());
    }
    for function in started(fleet).await? {
        let process = Path::new("/proc").join(function.life().id.to_string());
        let directory = fs::read_link(process.join("cwd"))?;
        ensure!(directory == nowhere, "{}: {directory:?}", function.name);
        let written = written(&process).with_context(|| function.name.to_owned())?;
        let log = fleet.dir.join(format!("{}.log", function.name));
        ensure!(
            written == BTreeSet::from([log.display().to_string()]),
            "{} writes to {written:?}",
            function.name
        );
    }
    Ok(())
}

/// The files that a process has open and may write to.
fn written(process: &Path) -> anyhow::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(process.join("fd"))? {
        let entry = entry?;
        // What was closed meanwhile is not open.
        let Ok(target) = fs::read_link(entry.path()) else {
            continue;
        };
        let info = fs::read_to_string(process.join("fdinfo").join(entry.file_name()));
        let info = info.unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = u32::from_str_radix(flags.unwrap_or("0").trim(), 8)?;
        let is_file = target.is_file();
        if is_file && flags & MAY_WRITE != 0 {
            found.insert(target.display().to_string());
        }
    }
    Ok(found)
}

/// All functions, the spares too, ready.
async fn started(fleet: &Fleet) -> anyhow::Result<Vec<&Service>> {
    for function in &fleet.functions {
        function.wake();
    }
    for function in &fleet.functions {
        function.ready().await?;
    }
    Ok(fleet.functions.iter().collect())
}

/// The status of a probe by this version of HTTP.
async fn health(function: &Service, version: Version) -> anyhow::Result<u16> {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new())
        .http2_only(version == Version::HTTP_2)
        .build_http();
    let url = format!("http://127.0.0.1:{}/health/ready", function.port);
    let request = Request::get(url).version(version).body(Full::default())?;
    let answer = client.request(request).await?;
    ensure!(
        answer.version() == version,
        "{} answers by {:?}",
        function.name,
        answer.version()
    );
    Ok(answer.status().as_u16())
}
