//! One process, and the Runtime API that is its alone.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context as _, bail};
use r#break::guard::Guard;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::{
    process::{Child, Command},
    sync::{oneshot, watch},
    time::timeout,
};

use super::{Failure, Recipe, lock};
use crate::{
    ACCOUNT, REGION,
    http::{Answer, Server, json_answer},
};

/// Lambda's limit of the init phase.
const INIT_WITHIN: Duration = Duration::from_secs(10);
/// The largest answer (6 MB), and some room for base64's neighbours.
const ANSWER_BYTES_MAX: usize = 6 * 1024 * 1024;
/// The prefix of all paths.
const RUNTIME: &str = "/2018-06-01/runtime/";

/// A running process of a function. It is killed when the last hold on it is gone.
pub struct Instance {
    shared: Arc<Shared>,
    _server: Server,
}

struct Shared {
    pid: Pid,
    arn: String,
    freezes: bool,
    state: Mutex<State>,
    initialized: watch::Sender<bool>,
    lives: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    /// What the process will be told when it asks next.
    waiting: Option<Invocation>,
    /// The process has asked and has no answer yet.
    asking: Option<oneshot::Sender<Invocation>>,
    /// What it works on.
    current: Option<(String, oneshot::Sender<Result<Bytes, Failure>>)>,
    frozen: bool,
}

struct Invocation {
    id: String,
    event: Bytes,
    deadline_ms: i64,
}

impl Instance {
    /// Starts a process and waits until it has asked for its first invocation.
    pub(super) async fn start(
        recipe: &Recipe,
        once: BTreeMap<String, String>,
        number: u32,
        guard: Arc<Guard>,
    ) -> anyhow::Result<Arc<Self>> {
        let listener = local::listen(0)?;
        let port = listener.local_addr()?.port();
        let mut child = spawn(recipe, once, number, port)?;
        let id = child.id().context("it has ended at once")?;
        guard.watch(id);
        let shared = Arc::new(Shared {
            pid: Pid::from_raw(i32::try_from(id)?).context("process 0")?,
            arn: format!(
                "arn:aws:lambda:{REGION}:{}:function:{}",
                ACCOUNT, recipe.name
            ),
            freezes: recipe.freezes,
            state: Mutex::default(),
            initialized: watch::Sender::new(false),
            lives: watch::Sender::new(true),
        });
        let serving = Arc::clone(&shared);
        let server = Server::tcp(listener, ANSWER_BYTES_MAX, move |request| {
            let shared = Arc::clone(&serving);
            async move { shared.answer(request).await }
        })?;
        let watching = Arc::clone(&shared);
        tokio::spawn(async move {
            let _ = child.wait().await;
            watching.ended();
            guard.forget(id);
        });
        let instance = Arc::new(Self {
            shared,
            _server: server,
        });
        let mut initialized = instance.shared.initialized.subscribe();
        let mut lives = instance.shared.lives.subscribe();
        let ready = async {
            tokio::select! {
                ready = initialized.wait_for(|it| *it) => ready.is_ok(),
                _ = lives.wait_for(|it| !*it) => false,
            }
        };
        match timeout(INIT_WITHIN, ready).await {
            Ok(true) => Ok(instance),
            Ok(false) => bail!("{} ended in its init phase", recipe.name),
            Err(_) => bail!("{} was not ready within {INIT_WITHIN:?}", recipe.name),
        }
    }

    /// The process' id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.shared.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Whether the process has not ended.
    pub(super) fn lives(&self) -> bool {
        *self.shared.lives.borrow()
    }

    /// Ends the process at once.
    pub(super) fn kill(&self) {
        self.shared.signal(Signal::KILL);
    }

    /// Gives the process an event and waits for its result.
    pub(super) async fn invoke(&self, event: Bytes, limit: Duration) -> Result<Bytes, Failure> {
        let (result, ended) = oneshot::channel();
        let deadline = runtime::clock::system()() + limit;
        let invocation = Invocation {
            id: crate::request_id(),
            event,
            deadline_ms: deadline.as_millis(),
        };
        if !self.shared.give(invocation, result) {
            return Err(Failure::Ended);
        }
        match timeout(limit, ended).await {
            Ok(Ok(result)) => result,
            // The sender is dropped when the process ends.
            Ok(Err(_)) => Err(Failure::Ended),
            Err(_) => Err(Failure::TimedOut),
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Shared {
    fn signal(&self, signal: Signal) {
        // An id of a process that was waited for may be another's by now.
        if *self.lives.borrow() {
            let _ = kill_process(self.pid, signal);
        }
    }

    fn ended(&self) {
        self.lives.send_replace(false);
        *lock(&self.state) = State::default();
    }

    fn give(
        &self,
        invocation: Invocation,
        result: oneshot::Sender<Result<Bytes, Failure>>,
    ) -> bool {
        let mut state = lock(&self.state);
        if !*self.lives.borrow() {
            return false;
        }
        state.current = Some((invocation.id.clone(), result));
        if state.frozen {
            state.frozen = false;
            self.signal(Signal::CONT);
        }
        match state.asking.take() {
            Some(asking) => match asking.send(invocation) {
                Ok(()) => {}
                // The process has hung up and will ask anew.
                Err(invocation) => state.waiting = Some(invocation),
            },
            None => state.waiting = Some(invocation),
        }
        true
    }

    async fn answer(&self, request: Request<Bytes>) -> Answer {
        let path = request.uri().path().strip_prefix(RUNTIME).unwrap_or("");
        let parts: Vec<&str> = path.split('/').collect();
        match (request.method(), parts.as_slice()) {
            (&Method::GET, ["invocation", "next"]) => self.next().await,
            (&Method::POST, ["invocation", id, "response"]) => {
                self.result(id, Ok(request.body().clone()))
            }
            (&Method::POST, ["invocation", id, "error"]) => {
                let text = String::from_utf8_lossy(request.body()).into_owned();
                self.result(id, Err(Failure::Error(text)))
            }
            (&Method::POST, ["init", "error"]) => accepted(),
            _ => refused(StatusCode::NOT_FOUND, "Runtime.UnknownPath"),
        }
    }

    /// Waits for an invocation, as long as it takes.
    async fn next(&self) -> Answer {
        let (ask, asked) = oneshot::channel();
        let at_once = {
            let mut state = lock(&self.state);
            let waiting = state.waiting.take();
            if waiting.is_none() {
                state.asking = Some(ask);
                if self.freezes && *self.initialized.borrow() {
                    state.frozen = true;
                    self.signal(Signal::STOP);
                }
            }
            waiting
        };
        self.initialized.send_replace(true);
        let invocation = match at_once {
            Some(invocation) => Some(invocation),
            None => asked.await.ok(),
        };
        match invocation {
            Some(invocation) => self.event(invocation),
            None => refused(StatusCode::GONE, "Runtime.Ended"),
        }
    }

    fn event(&self, invocation: Invocation) -> Answer {
        let Invocation {
            id,
            event,
            deadline_ms,
        } = invocation;
        let trace = format!(
            "Root=1-{:08x}-{};Sampled=0",
            deadline_ms / 1000,
            &id.replace('-', "")[..24]
        );
        let headers = [
            ("lambda-runtime-aws-request-id", id),
            ("lambda-runtime-deadline-ms", deadline_ms.to_string()),
            ("lambda-runtime-invoked-function-arn", self.arn.clone()),
            ("lambda-runtime-trace-id", trace),
            ("content-type", "application/json".to_owned()),
        ];
        let mut answer = Response::new(Full::new(event));
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                answer.headers_mut().insert(name, value);
            }
        }
        answer
    }

    fn result(&self, id: &str, result: Result<Bytes, Failure>) -> Answer {
        let mut state = lock(&self.state);
        match state.current.take_if(|(current, _)| current == id) {
            Some((_, sender)) => {
                // Whoever waited may have given up at the time limit.
                let _ = sender.send(result);
                accepted()
            }
            None => refused(StatusCode::BAD_REQUEST, "InvalidRequestID"),
        }
    }
}

fn accepted() -> Answer {
    json_answer(
        StatusCode::ACCEPTED,
        "application/json",
        &json!({ "status": "OK" }),
    )
}

fn refused(status: StatusCode, kind: &str) -> Answer {
    let body: Value = json!({ "errorType": kind, "errorMessage": kind });
    json_answer(status, "application/json", &body)
}

fn spawn(
    recipe: &Recipe,
    once: BTreeMap<String, String>,
    number: u32,
    port: u16,
) -> anyhow::Result<Child> {
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&recipe.log)?;
    let mut command = Command::new(&recipe.binary);
    command.env_clear().envs(of_lambda(recipe, number, port));
    command.envs(&recipe.environment).envs(once);
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    command.process_group(0).kill_on_drop(true);
    let child = command.spawn();
    child.with_context(|| format!("cannot start {}", recipe.binary.display()))
}

/// What Lambda tells every function
/// (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime>).
fn of_lambda(recipe: &Recipe, number: u32, port: u16) -> [(&'static str, String); 12] {
    let name = &recipe.name;
    [
        ("AWS_LAMBDA_RUNTIME_API", format!("127.0.0.1:{port}")),
        ("AWS_LAMBDA_FUNCTION_NAME", name.clone()),
        (
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
            recipe.memory_mb.to_string(),
        ),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1".to_owned()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{name}")),
        ("AWS_LAMBDA_LOG_STREAM_NAME", format!("[1]{number:032x}")),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", format!("ASIA-{name}")),
        ("AWS_SECRET_ACCESS_KEY", "emulated".to_owned()),
        ("AWS_SESSION_TOKEN", "emulated".to_owned()),
        ("_HANDLER", "bootstrap".to_owned()),
    ]
}
