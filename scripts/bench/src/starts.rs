//! B9: how soon after its start each function is ready and gives its first answer, with Redis and `MariaDB` up.
//!
//! The binaries are those of the images (`scripts/images`): profile `dist`, the adapters of Kubernetes, static. A start of
//! `keys`, which connects nothing, is the control: if it differs before and after, the run is void.

mod questions;

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};

use crate::compare::{Bound, Finding, aba};
use questions::{Question, World};

/// Starts of one measurement of a function.
const STARTS: usize = 21;
/// What no start takes.
const WITHIN: Duration = Duration::from_secs(10);
/// Between two looks whether it is ready.
const LOOK_EVERY: Duration = Duration::from_micros(100);

/// B9.
pub(crate) async fn answers() -> anyhow::Result<Vec<Finding>> {
    let roots = tempfile::tempdir()?;
    lay_out(roots.path())?;
    let world = World::start().await?;
    let control = Starts::of(&world, roots.path(), "keys");
    let mut table = Vec::new();
    let compared = aba(
        "B9 exec to first answer, ms: keys, the slowest, keys",
        async || Ok(control.measure().await?.answered.median),
        async || {
            table.clear();
            for name in questions::FUNCTIONS {
                let measured = Starts::of(&world, roots.path(), name).measure().await?;
                table.push((name, measured));
            }
            let medians = table.iter().map(|(_, measured)| measured.answered.median);
            Ok(medians.fold(0.0, f64::max))
        },
    )
    .await?;
    world.stop().await?;
    println!("\nms from exec, median and p95 of {STARTS}: ready, first answer");
    for (name, Measured { ready, answered }) in &table {
        println!(
            "{name:<14} {:>6.1} {:>6.1}   {:>6.1} {:>6.1}",
            ready.median, ready.p95, answered.median, answered.p95
        );
    }
    let p95 = table.iter().map(|(_, measured)| measured.answered.p95);
    let details = format!(
        "the slowest of {} functions; worst p95 {:.1} ms",
        table.len(),
        p95.fold(0.0, f64::max)
    );
    let finding = Finding::new(
        "B9 ms to the first answer on Kubernetes",
        compared.b,
        Bound::Most(50.0),
        details,
    );
    Ok(vec![finding.noisy(compared.noisy)])
}

/// Builds what is in each image, in one call.
fn lay_out(roots: &Path) -> anyhow::Result<()> {
    println!("building the binaries of the images, which takes minutes");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images");
    let status = Command::new(script).arg("--roots").arg(roots).status()?;
    ensure!(status.success(), "scripts/images failed: {status}");
    Ok(())
}

/// Of one point in time after the start, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Spread {
    median: f64,
    p95: f64,
}

impl Spread {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |part: usize| times[(times.len() - 1) * part / 100].as_secs_f64() * 1e3;
        Self {
            median: at(50),
            p95: at(95),
        }
    }
}

/// What was measured of a function.
#[derive(Debug, Clone, Copy)]
struct Measured {
    ready: Spread,
    answered: Spread,
}

/// How a function is started.
struct Starts<'a> {
    world: &'a World,
    name: &'static str,
    binary: PathBuf,
}

impl<'a> Starts<'a> {
    fn of(world: &'a World, roots: &Path, name: &'static str) -> Self {
        let binary = roots.join(name).join("main");
        Self {
            world,
            name,
            binary,
        }
    }

    async fn measure(&self) -> anyhow::Result<Measured> {
        let (mut ready, mut answered) = (Vec::new(), Vec::new());
        // One more, which brings the binary into memory.
        for number in 0..=STARTS {
            let mut command = Command::new(&self.binary);
            command
                .env_clear()
                .envs(self.world.environment.iter().cloned());
            command.stdin(Stdio::null()).stderr(Stdio::null());
            let question = self.world.question(self.name)?;
            let name = self.name;
            let start = tokio::task::spawn_blocking(move || start(command, &question));
            let (was_ready, had_answered) = start.await?.context(name)?;
            if number > 0 {
                ready.push(was_ready);
                answered.push(had_answered);
            }
        }
        Ok(Measured {
            ready: Spread::of(ready),
            answered: Spread::of(answered),
        })
    }
}

/// A process that is killed when this is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It has ended already, or it ends now.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One start: how long until it was ready, and until it had answered the question.
fn start(mut command: Command, question: &Question) -> anyhow::Result<(Duration, Duration)> {
    // The port is free now and nobody else takes ports of this machine meanwhile.
    let free = std::net::TcpListener::bind("127.0.0.1:0")?;
    let port = free.local_addr()?.port();
    drop(free);
    command.env("PORT", port.to_string());
    let begun_at = Instant::now();
    let mut process = Killed(command.spawn()?);
    let probe = "GET /health/ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let ready = loop {
        if ask(port, probe).is_ok_and(|status| status == 200) {
            break begun_at.elapsed();
        }
        ensure!(begun_at.elapsed() < WITHIN, "it is never ready");
        ensure!(process.0.try_wait()?.is_none(), "it ends by itself");
        std::thread::sleep(LOOK_EVERY);
    };
    let status = ask(port, &question.request)?;
    let answered = begun_at.elapsed();
    ensure!(status == question.expected, "it answers {status}");
    Ok((ready, answered))
}

/// The status that the server at this port answers with.
fn ask(port: u16, request: &str) -> anyhow::Result<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(WITHIN))?;
    stream.write_all(request.as_bytes())?;
    // `HTTP/1.1 200`
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    let status = std::str::from_utf8(&head[9..])?;
    Ok(status.parse()?)
}
