//! B4 to B6: the binaries that are shipped, as processes of their own.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use axum::Router;
use http::{HeaderMap, StatusCode};
use race::client::Client;
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    bare::{self, Server},
    compare::{Bound, Finding, aba},
    parts::{ISSUER, PATH_TOKEN_KEY, Parts},
};

/// Starts of one measurement; their median counts.
const STARTS: usize = 21;
/// What a start may take beyond the minimal server's, if it is not within the ratio.
const START_MS: f64 = 5.0;
/// The functions that link neither store nor events.
const SMALL: [&str; 2] = ["keys", "spike-token"];
/// What no start takes.
const START_WITHIN: Duration = Duration::from_secs(10);
/// The crowd of B3.
const BUYERS: usize = 10_000;
const UNITS: u32 = 100;
const CONNECTIONS: usize = 512;

const MIB: f64 = 1024.0 * 1024.0;

/// B4.
pub(crate) async fn start() -> anyhow::Result<Vec<Finding>> {
    let binaries = build_functions()?;
    build(&["--package", "bench", "--example", "minimal"])?;
    let parts = Parts::start().await?;
    let broker = broker().await?;
    let environment = environment(&parts, &broker)?;
    let (minimal, spike) = (binaries.join("examples/minimal"), binaries.join("spike"));
    let compared = aba(
        "B4 exec to first answer, ms",
        async || median_start(&minimal, &[]).await,
        async || median_start(&spike, &environment).await,
    )
    .await?;
    parts.stop().await?;
    let details = format!("{:.1} ms over {:.1} ms", compared.b, compared.a);
    let finding = Finding::new(
        "B4 start of spike over a minimal server's",
        compared.ratio(),
        Bound::Most(2.5),
        details,
    );
    let finding = finding.or(compared.b <= compared.a + START_MS, "+ 5 ms");
    Ok(vec![finding.noisy(compared.noisy)])
}

/// B5.
pub(crate) async fn memory() -> anyhow::Result<Vec<Finding>> {
    let binaries = build_functions()?;
    let parts = Parts::start().await?;
    let broker = broker().await?;
    let buyers = parts.buyers(BUYERS).await?;
    let spike = Process::start(&binaries.join("spike"), &environment(&parts, &broker)?).await?;
    sleep(Duration::from_secs(2)).await;
    let idle = spike.resident_mib().await?;

    let sale = parts.sale(UNITS).await?;
    let client = Arc::new(Client::new(&spike.base_url, CONNECTIONS)?);
    let mut tasks = JoinSet::new();
    for (index, order) in parts.orders(sale.id, &buyers)?.into_iter().enumerate() {
        let client = Arc::clone(&client);
        tasks.spawn(async move {
            sleep(Duration::from_micros(100 * index as u64)).await;
            client.send(&order).await.map(|answer| answer.outcome())
        });
    }
    let outcomes: anyhow::Result<Vec<String>> = tasks.join_all().await.into_iter().collect();
    let won = outcomes?.iter().filter(|outcome| *outcome == "202").count();
    ensure!(
        won == UNITS as usize,
        "{won} orders were accepted instead of {UNITS}"
    );
    let busy = spike.resident_mib().await?;
    drop(spike);
    parts.stop().await?;
    let idle = Finding::new(
        "B5 MiB resident, idle",
        idle,
        Bound::Most(12.0),
        "profile dist".to_owned(),
    );
    let details = format!("{BUYERS} orders within a second");
    let busy = Finding::new(
        "B5 MiB resident, after the crowd",
        busy,
        Bound::Most(32.0),
        details,
    );
    Ok(vec![idle, busy])
}

/// B6.
pub(crate) fn sizes() -> anyhow::Result<Vec<Finding>> {
    let (functions, binaries) = (functions()?, build_functions()?);
    let mut sizes = Vec::new();
    for function in &functions {
        sizes.push((function.as_str(), zipped_mb(&binaries.join(function))?));
    }
    let largest = |name, small: bool, bound| {
        let among = sizes
            .iter()
            .filter(|(function, _)| SMALL.contains(function) == small);
        let all: Vec<String> = among
            .clone()
            .map(|(function, mb)| format!("{function} {mb:.2}"))
            .collect();
        let largest = among.map(|(_, mb)| *mb).fold(0.0, f64::max);
        Finding::new(name, largest, Bound::Most(bound), all.join(", "))
    };
    Ok(vec![
        largest("B6 MB zipped, without store and events", true, 2.6),
        largest("B6 MB zipped, the others", false, 6.0),
    ])
}

/// Builds all functions in one call, as they are shipped: what one needs of a dependency, all get.
fn build_functions() -> anyhow::Result<PathBuf> {
    let functions = functions()?;
    let packages = functions
        .iter()
        .flat_map(|function| ["--package", function]);
    build(&packages.chain(["--bins"]).collect::<Vec<_>>())
}

/// Builds in profile `dist` and answers with the folder of the binaries.
pub(crate) fn build(arguments: &[&str]) -> anyhow::Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    println!("building in profile dist, which takes minutes");
    let status = std::process::Command::new("cargo")
        .current_dir(&root)
        .args(["build", "--locked", "--profile", "dist"])
        .args(arguments)
        .status()?;
    ensure!(status.success(), "the build failed: {status}");
    dist()
}

/// The folder of binaries in profile `dist`.
pub(crate) fn dist() -> anyhow::Result<PathBuf> {
    // This binary lies beside them: `target/release/bench`, `target/dist/spike`.
    let target = std::env::current_exe()?;
    let target = target.ancestors().nth(2).context("no build directory")?;
    Ok(target.join("dist"))
}

fn functions() -> anyhow::Result<Vec<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../functions");
    let mut names = Vec::new();
    for entry in folder.read_dir()? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// The size of the binary's zip, in 10^6 bytes.
fn zipped_mb(binary: &Path) -> anyhow::Result<f64> {
    let folder = tempfile::tempdir()?;
    let zip = folder.path().join("function.zip");
    let status = std::process::Command::new("zip")
        .args(["-q", "-9", "-j"])
        .arg(&zip)
        .arg(binary)
        .status();
    ensure!(status.context("zip")?.success(), "zip failed");
    let bytes = u32::try_from(zip.metadata()?.len())?;
    Ok(f64::from(bytes) / 1e6)
}

/// A broker that takes every event.
async fn broker() -> anyhow::Result<Server> {
    let router: Router = bare::always(StatusCode::ACCEPTED, HeaderMap::new(), bytes::Bytes::new());
    bare::bare(router).await
}

/// What `spike` is told, as `local` tells it.
fn environment(parts: &Parts, broker: &Server) -> anyhow::Result<Vec<(&'static str, String)>> {
    Ok(vec![
        ("STOCK_URL", parts.redis.url()?.to_string()),
        ("STORE_URL", parts.engine.url()?.to_string()),
        ("EVENTS_URL", format!("{}/", broker.base_url)),
        ("ACCESS_TOKEN_KEYS", parts.keys()?),
        ("ISSUER", ISSUER.to_owned()),
        ("PATH_TOKEN_KEY", PATH_TOKEN_KEY.to_owned()),
        ("BUCKET_BURST", "0".to_owned()),
        ("RUST_LOG", "warn".to_owned()),
    ])
}

/// The median time from exec to the first answer, in milliseconds.
async fn median_start(binary: &Path, environment: &[(&str, String)]) -> anyhow::Result<f64> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let process = Process::start(binary, environment).await?;
        times.push(process.answered_after);
        drop(process);
        sleep(Duration::from_millis(20)).await;
    }
    Ok(median(times))
}

/// In milliseconds.
pub(crate) fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}

/// A server as a process; it is killed when this is dropped.
struct Process {
    base_url: String,
    answered_after: Duration,
    child: Child,
}

impl Process {
    async fn start(binary: &Path, environment: &[(&str, String)]) -> anyhow::Result<Self> {
        // The port is free now and nobody else takes ports of this machine meanwhile.
        let port = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
        let base_url = format!("http://127.0.0.1:{port}");
        let begun_at = Instant::now();
        let mut child = Command::new(binary)
            .env_clear()
            .env("PORT", port.to_string())
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| binary.display().to_string())?;
        // Its own thread: the runtime's timer counts in milliseconds, which is what a start takes.
        let answered = tokio::task::spawn_blocking(move || {
            loop {
                if answers(port).is_ok_and(|answered| answered) {
                    break begun_at.elapsed();
                }
                if begun_at.elapsed() > START_WITHIN {
                    break Duration::MAX;
                }
                std::thread::sleep(Duration::from_micros(100));
            }
        });
        let answered_after = answered.await?;
        ensure!(
            answered_after < START_WITHIN && child.try_wait()?.is_none(),
            "{} did not start",
            binary.display()
        );
        Ok(Self {
            base_url,
            answered_after,
            child,
        })
    }

    async fn resident_mib(&self) -> anyhow::Result<f64> {
        resident_mib(self.child.id().context("the server has ended")?).await
    }
}

/// Resident memory of a process, which `ps` counts in KiB.
pub(crate) async fn resident_mib(id: u32) -> anyhow::Result<f64> {
    let output = Command::new("ps")
        .args(["-o", "rss=", "-p", &id.to_string()])
        .output()
        .await?;
    let kib: f64 = String::from_utf8(output.stdout)?
        .trim()
        .parse()
        .context("ps")?;
    Ok(kib * 1024.0 / MIB)
}

/// Whether there is an answer to be had at this port now.
fn answers(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(START_WITHIN))?;
    stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
    Ok(stream.read(&mut [0; 16])? > 0)
}
