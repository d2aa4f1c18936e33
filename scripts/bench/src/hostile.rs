//! Rows 23, 24, 29, 31 and 32 of the list of faults: what hostile clients cost, in memory and in honest buyers' time.
//!
//! `local` is a process of its own, as it is shipped but for the profile. Its resident memory is read while the hostile
//! clients are at it, over the lesser of what is resident before and after: what an earlier password's hash has left to
//! the allocator must not hide what they cost.

mod path_tokens;
mod rules;

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use futures::future::try_join_all;
use http::HeaderValue;
use local::testing::Process;
use race::client::{Client, Request};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::Command,
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::compare::{Bound, Finding, aba};

/// Of row 24.
const HELD: usize = 2_000;
const HELD_F: f64 = 2_000.0;
/// Large bodies of row 23, and how many of them at a time.
const BODIES: usize = 64;
const BODIES_AT_ONCE: usize = 16;
const BODY_BYTES: usize = 10_000_000;
/// Honest requests of one measurement, one after the other on each connection.
const HONEST: usize = 4_000;
const HONEST_AT_ONCE: usize = 4;
/// Who guesses, without a pause.
const GUESSERS: usize = 32;
/// How often resident memory is read, and how often once all has been sent.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOKS_AFTER: u32 = 20;

const KIB_PER_MIB: f64 = 1024.0;

/// All of the rows.
pub(crate) async fn costs() -> anyhow::Result<Vec<Finding>> {
    let folder = tempfile::tempdir()?;
    let process = Process::start(&build()?, folder.path()).await?;
    let target = Target::new(&process, folder.path()).await?;
    let mut findings = vec![target.bodies().await?];
    findings.extend(target.held().await?);
    findings.push(target.guesses().await?);
    findings.extend(path_tokens::guesses(&target).await?);
    process.stop().await?;
    findings.extend(rules::bombs().await?);
    Ok(findings)
}

/// Builds `local` and answers with its path, which is beside this binary.
fn build() -> anyhow::Result<PathBuf> {
    let status = std::process::Command::new("cargo")
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .args(["build", "--locked", "--release", "--package", "local"])
        .status()?;
    ensure!(status.success(), "the build failed: {status}");
    Ok(std::env::current_exe()?.with_file_name("local"))
}

/// `local`, an honest buyer, and a sale.
struct Target {
    id: u32,
    base_url: String,
    bearer: HeaderValue,
    honest: Vec<Request>,
}

impl Target {
    async fn new(process: &Process, data: &std::path::Path) -> anyhow::Result<Self> {
        let client = Client::new(&process.base_url, 1)?;
        let admin = std::fs::read_to_string(data.join("admin"))?;
        let (username, password) = admin.trim().split_once(':').context("no admin")?;
        let credentials = json!({ "username": username, "password": password });
        let login = Request::post("/users/login").json(&credentials);
        let login = client.send(&login).await?.success("login")?;
        let login: Value = login.json()?;
        let token = login["access_token"].as_str().context("no token")?;
        let bearer: HeaderValue = race::api::bearer(token)?;
        // What a buyer asks while a sale runs: reads that need Redis or the store, with a token that is verified.
        let honest = ["/spikes", "/orders", "/spikes", "/.well-known/jwks.json"];
        let target = Self {
            id: process.id().context("`local` has ended")?,
            base_url: process.base_url.clone(),
            bearer: bearer.clone(),
            honest: honest.map(|path| Request::get(path).bearer(&bearer)).into(),
        };
        // The memory of the passwords' hashes goes back while there is something to do.
        for _ in 0..3 {
            sleep(Duration::from_secs(1)).await;
            target.honest_p99().await?;
        }
        Ok(target)
    }

    /// Row 23: bodies of 10 MB, half of them in chunks.
    async fn bodies(&self) -> anyhow::Result<Finding> {
        let before = self.settled_mib().await?;
        let most = self.most_while(before, self.send_bodies()).await?;
        let after = self.settled_mib().await?;
        let details = format!(
            "{BODIES} bodies of 10 MB, {BODIES_AT_ONCE} at once: {before:.1} MiB before, at most {most:.1} while, {after:.1} after"
        );
        let name = "23 MiB more, while bodies are too large";
        let more = most - before.min(after);
        Ok(Finding::new(name, more, Bound::Most(1.0), details))
    }

    async fn send_bodies(&self) -> anyhow::Result<()> {
        let mut bodies = JoinSet::new();
        for index in 0..BODIES {
            if bodies.len() == BODIES_AT_ONCE {
                let ended = bodies.join_next().await.context("nobody sends")?;
                ended??;
            }
            let address = self.address();
            bodies.spawn(async move { send_body(&address, index % 2 == 0).await });
        }
        bodies.join_all().await.into_iter().collect()
    }

    /// Row 24: connections that only cost.
    async fn held(&self) -> anyhow::Result<Vec<Finding>> {
        let before = self.settled_mib().await?;
        let (mut most, mut closed_after) = (before, Duration::ZERO);
        let compared = aba(
            "24 honest p99, ms",
            async || self.honest_p99().await,
            async || {
                let held = self.hold().await?;
                let held_at = Instant::now();
                let while_held = self.resident_mib().await?;
                let p99 = self.honest_p99().await?;
                most = most.max(while_held).max(self.resident_mib().await?);
                for stream in held {
                    wait_for_end(stream).await?;
                }
                closed_after = closed_after.max(held_at.elapsed());
                Ok(p99)
            },
        )
        .await?;
        let after = self.settled_mib().await?;
        let details = format!("{:.2} ms over {:.2} ms", compared.b, compared.a);
        let latency = Finding::new(
            "24 honest p99 beside 2,000 held connections",
            compared.ratio(),
            Bound::Most(2.0),
            details,
        );
        let details = format!("{before:.1} MiB before, at most {most:.1} while, {after:.1} after");
        Ok(vec![
            latency.noisy(compared.noisy),
            Finding::new(
                "24 seconds until the last is closed",
                closed_after.as_secs_f64(),
                Bound::Most(7.0),
                "5 s from the accept of each, and the time to open them".to_owned(),
            ),
            Finding::new(
                "24 KiB more for each, while they are held",
                (most - before.min(after)) * KIB_PER_MIB / HELD_F,
                Bound::Most(32.0),
                details,
            ),
        ])
    }

    /// Silent sockets, half heads, half prefaces and bodies that never come, all at once.
    async fn hold(&self) -> anyhow::Result<Vec<TcpStream>> {
        let kinds: [&[u8]; 4] = [
            b"",
            b"GET /spikes HTTP/1.1\r\nhost: a\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM",
            b"POST /users HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{",
        ];
        let address = self.address();
        let opened = (0..HELD).map(async |index| {
            let mut stream = TcpStream::connect(&address).await?;
            stream.write_all(kinds[index % kinds.len()]).await?;
            anyhow::Ok(stream)
        });
        try_join_all(opened).await
    }

    /// Row 32: passwords are guessed as fast as the answers come.
    async fn guesses(&self) -> anyhow::Result<Finding> {
        let mut guessed = 0;
        let compared = aba(
            "32 honest p99, ms",
            async || self.honest_p99().await,
            async || {
                let client = Arc::new(Client::new(&self.base_url, GUESSERS)?);
                let mut guessers = JoinSet::new();
                let answers = Arc::new(std::sync::atomic::AtomicUsize::new(0));
                for guesser in 0..GUESSERS {
                    let (client, answers) = (Arc::clone(&client), Arc::clone(&answers));
                    guessers.spawn(async move {
                        for guess in 0_u32.. {
                            let username = format!("guessed.{guesser}.{guess}");
                            let body = json!({ "username": username, "password": "a guess of a password" });
                            let login = Request::post("/users/login").json(&body);
                            if client.send(&login).await.is_err() {
                                return;
                            }
                            answers.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        }
                    });
                }
                sleep(Duration::from_millis(500)).await;
                let p99 = self.honest_p99().await?;
                guessers.abort_all();
                guessed += answers.load(std::sync::atomic::Ordering::Relaxed);
                while guessers.join_next().await.is_some() {}
                sleep(Duration::from_secs(1)).await;
                Ok(p99)
            },
        )
        .await?;
        let details = format!(
            "{:.2} ms over {:.2} ms, {GUESSERS} guessers, {guessed} answers",
            compared.b, compared.a
        );
        let name = "32 honest p99 while passwords are guessed";
        let finding = Finding::new(name, compared.ratio(), Bound::Most(2.0), details);
        Ok(finding.noisy(compared.noisy))
    }

    /// The 99th percentile of honest requests, in milliseconds.
    async fn honest_p99(&self) -> anyhow::Result<f64> {
        let client = Client::new(&self.base_url, HONEST_AT_ONCE)?;
        let clients = (0..HONEST_AT_ONCE).map(async |first| {
            let mut times = Vec::new();
            for index in 0..HONEST / HONEST_AT_ONCE {
                let request = &self.honest[(first + index) % self.honest.len()];
                let begun_at = Instant::now();
                client.send(request).await?.success("an honest request")?;
                times.push(begun_at.elapsed());
            }
            anyhow::Ok(times)
        });
        let mut times = try_join_all(clients).await?.concat();
        times.sort();
        Ok(times[times.len() * 99 / 100].as_secs_f64() * 1e3)
    }

    fn address(&self) -> String {
        self.base_url.trim_start_matches("http://").to_owned()
    }

    /// Resident memory once it has stopped changing, or after ten looks.
    async fn settled_mib(&self) -> anyhow::Result<f64> {
        let mut last = self.resident_mib().await?;
        for _ in 0..10 {
            sleep(Duration::from_millis(500)).await;
            let now = self.resident_mib().await?;
            if (now - last).abs() < 0.05 {
                return Ok(now);
            }
            last = now;
        }
        Ok(last)
    }

    /// The most that is resident while something is done, and for a moment after it.
    async fn most_while(
        &self,
        before: f64,
        done: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<f64> {
        let mut done = std::pin::pin!(done);
        let (mut most, mut looks_left) = (before, None);
        while looks_left != Some(0) {
            most = most.max(self.resident_mib().await?);
            let next = sleep(LOOK_EVERY);
            if let Some(left) = &mut looks_left {
                *left -= 1;
                next.await;
                continue;
            }
            tokio::select! {
                done = &mut done => {
                    done?;
                    looks_left = Some(LOOKS_AFTER);
                }
                () = next => {}
            }
        }
        Ok(most)
    }

    async fn resident_mib(&self) -> anyhow::Result<f64> {
        resident_mib(self.id).await
    }
}

/// Resident memory of a process, which `ps` counts in KiB.
async fn resident_mib(id: u32) -> anyhow::Result<f64> {
    let id = id.to_string();
    let output = Command::new("ps")
        .args(["-o", "rss=", "-p", &id])
        .output()
        .await?;
    let kib: f64 = String::from_utf8(output.stdout)?
        .trim()
        .parse()
        .context("ps")?;
    Ok(kib / KIB_PER_MIB)
}

/// Sends a body that is too large, for as long as it is taken, and reads the refusal.
async fn send_body(address: &str, chunked: bool) -> anyhow::Result<()> {
    let (mut from, mut to) = TcpStream::connect(address).await?.into_split();
    let framing = if chunked {
        "transfer-encoding: chunked".to_owned()
    } else {
        format!("content-length: {BODY_BYTES}")
    };
    let head = format!(
        "POST /users HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n{framing}\r\n\r\n"
    );
    let sending = tokio::spawn(async move {
        let part = vec![b' '; 16 * 1024];
        let mut sent = to.write_all(head.as_bytes()).await;
        for _ in 0..BODY_BYTES / part.len() {
            if sent.is_err() {
                break;
            }
            if chunked {
                let _ = to.write_all(b"4000\r\n").await;
            }
            sent = to.write_all(&part).await;
            if chunked {
                let _ = to.write_all(b"\r\n").await;
            }
        }
        to
    });
    let mut answer = Vec::new();
    // A reset after the answer is its end, too.
    let _ = from.read_to_end(&mut answer).await;
    let _open_until_now = sending.await?;
    let refused = answer.starts_with(b"HTTP/1.1 413");
    ensure!(refused, "{}", String::from_utf8_lossy(&answer));
    Ok(())
}

/// Reads until the server closes.
async fn wait_for_end(mut stream: TcpStream) -> anyhow::Result<()> {
    let mut answer = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut answer));
    let _ = closed.await.context("a connection stays open")?;
    Ok(())
}
