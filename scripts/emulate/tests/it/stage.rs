//! One emulated AWS for all tests, which take turns: two sales at once are slow on a small machine.

use std::{
    pin::Pin,
    sync::{LazyLock, mpsc},
    time::Duration,
};

use emulate::cloud::{Cloud, Options, QueueTimes};
use tokio::sync::oneshot;

/// As long as a batch may take, and a message is hidden. AWS wants six times as long; here nobody has so much time.
pub(crate) const QUEUE: QueueTimes = QueueTimes {
    timeout: Duration::from_secs(4),
    visibility: Duration::from_secs(5),
    receives_max: 10,
};
/// The most instances of a function.
pub(crate) const INSTANCES: usize = 24;

type Work<'a> = Pin<Box<dyn Future<Output = anyhow::Result<()>> + 'a>>;
type Job = (fn(&Cloud) -> Work<'_>, oneshot::Sender<anyhow::Result<()>>);

static CLOUD: LazyLock<mpsc::Sender<Job>> = LazyLock::new(start);

/// Starts it on a thread of its own, which outlives every test. What it has started ends with this process.
fn start() -> mpsc::Sender<Job> {
    let (jobs, todo) = mpsc::channel::<Job>();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let examples = std::env::current_exe().unwrap();
            let examples = examples.ancestors().nth(2).unwrap().join("examples");
            let options = Options {
                packages: emulate::testing::packages(&examples).unwrap(),
                port: 0,
                instances_max: INSTANCES,
                freezes: true,
                timer_every: Duration::from_secs(1),
                queue: Some(QUEUE),
                writers: 2,
                rate: 0,
            };
            let dir = tempfile::tempdir().unwrap();
            let cloud = Cloud::start(&options, dir.path()).await.unwrap();
            while let Ok((work, answer)) = tokio::task::block_in_place(|| todo.recv()) {
                let _ = answer.send(work(&cloud).await);
            }
        });
    });
    jobs
}

/// Does this when it is its turn.
pub(crate) fn run(work: fn(&Cloud) -> Work<'_>) {
    let (answer, result) = oneshot::channel();
    CLOUD.send((work, answer)).unwrap();
    let result = result.blocking_recv().expect("the emulated AWS lives");
    if let Err(error) = result {
        panic!("{error:#}");
    }
}
