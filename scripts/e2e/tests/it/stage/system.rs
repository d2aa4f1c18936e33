//! The system under test: the one that the environment names, or a `local` that all tests share.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Arc, LazyLock, OnceLock, mpsc},
};

use auth::SigningKey;
use e2e::{
    client::{Answer, Call, Client},
    document::Document,
};
use local::{Local, testing::Process};
use serde_json::{Value, json};

use super::{Person, Stage};

/// Removes a directory when the process that holds the other end of the pipe is gone, however it went, and with it
/// what still wrote into the directory.
const SWEEPER: &str =
    r#"read -r _; for _ in 1 2 3 4 5; do sleep 1; rm -rf "$0" && [ ! -e "$0" ] && exit; done"#;

static SYSTEM: LazyLock<System> = LazyLock::new(System::find);
static SESSION: OnceLock<Session> = OnceLock::new();

/// The system under test.
struct System {
    base_url: String,
    admin: String,
    signing_key_file: Option<PathBuf>,
    private_socket: Option<PathBuf>,
}

/// What is asked once.
#[derive(Clone)]
struct Session {
    document: Arc<Document>,
    signing_key: Option<Arc<SigningKey>>,
    admin: Person,
}

impl System {
    #[expect(
        clippy::disallowed_methods,
        reason = "the environment says which system is tested"
    )]
    fn find() -> Self {
        let variable = |name| std::env::var(name).ok();
        match variable("BASE_URL") {
            Some(base_url) => Self {
                base_url,
                admin: variable("ADMIN").expect("ADMIN=USER:PASSWORD is set with BASE_URL"),
                signing_key_file: variable("SIGNING_KEY_FILE").map(PathBuf::from),
                private_socket: variable("PRIVATE_SOCKET").map(PathBuf::from),
            },
            None => Self::start(),
        }
    }

    /// Starts a `local` on threads of its own, which outlive every test.
    #[expect(clippy::zombie_processes, reason = "the sweeper outlives this process")]
    fn start() -> Self {
        let (started, system) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let data = tempfile::tempdir().unwrap().keep();
                let mut sweeper = Command::new("sh");
                sweeper.args(["-c", SWEEPER]).arg(&data);
                sweeper.stdin(Stdio::piped()).stdout(Stdio::null());
                let _pipe = sweeper.stderr(Stdio::null()).spawn().unwrap();
                let local = Local::start(&local::testing::options(&data)).await.unwrap();
                let password = &local.admin.password;
                let system = Self {
                    base_url: local.base_url.clone(),
                    admin: format!("{}:{password}", local.admin.username),
                    signing_key_file: Some(local.signing_key_file.clone()),
                    private_socket: Some(local.private_socket.clone()),
                };
                started.send(system).unwrap();
                std::future::pending::<()>().await;
            });
        });
        system.recv().expect("a `local` starts")
    }

    async fn session(&self) -> Session {
        // The document is not known yet, so this client's answers are not looked up.
        let unchecked = reqwest::Client::new();
        let ask = async |path: &str| -> Value {
            let answer = unchecked.get(format!("{}{path}", self.base_url)).send();
            answer.await.unwrap().json().await.unwrap()
        };
        let document = Arc::new(Document::new(ask("/openapi.json").await));
        let issuer = ask("/.well-known/openid-configuration").await["issuer"].clone();
        let signing_key = self.signing_key_file.as_ref().map(|file| {
            let pem = std::fs::read_to_string(file).unwrap();
            Arc::new(SigningKey::from_pem(&pem, issuer.as_str().unwrap()).unwrap())
        });
        let client = Client::new(&self.base_url, Arc::clone(&document)).unwrap();
        let (username, password) = self.admin.split_once(':').unwrap();
        let token = login(&client, username, password)
            .await
            .text("access_token");
        let user_id = auth::unverified_subject(&token).unwrap();
        Session {
            document,
            signing_key,
            admin: Person {
                user_id,
                username: username.to_owned(),
                token,
            },
        }
    }
}

/// Logs in.
pub(super) async fn login(client: &Client, username: &str, password: &str) -> Answer {
    let credentials = json!({ "username": username, "password": password });
    let call = Call::post("/users/login").json(&credentials);
    client.send(call).await.expect("200")
}

/// The stage of one test.
pub(crate) async fn stage() -> Stage {
    // The first to come waits for the start, which goes on elsewhere.
    let system = tokio::task::spawn_blocking(|| &*SYSTEM).await.unwrap();
    let session = if let Some(session) = SESSION.get() {
        session.clone()
    } else {
        let session = system.session().await;
        SESSION.get_or_init(|| session).clone()
    };
    Stage {
        client: Client::new(&system.base_url, session.document).unwrap(),
        admin: session.admin,
        signing_key: session.signing_key,
    }
}

/// The stage of a `local` that a test has started itself.
pub(crate) async fn stage_of(process: &Process) -> Stage {
    let admin = std::fs::read_to_string(process.data.join("admin")).unwrap();
    let system = System {
        base_url: process.base_url.clone(),
        admin: admin.trim().to_owned(),
        signing_key_file: Some(process.data.join("signing-key.pem")),
        private_socket: None,
    };
    let session = system.session().await;
    Stage {
        client: Client::new(&system.base_url, session.document).unwrap(),
        admin: session.admin,
        signing_key: session.signing_key,
    }
}

/// A client of the private routes, where they can be reached.
pub(crate) fn inside() -> Option<Client> {
    let socket = SYSTEM.private_socket.as_ref()?;
    Some(Client::inside(socket).unwrap())
}

/// The shared system's operator and signing key, as the race takes them.
pub(crate) fn for_the_race() -> Option<(String, String, PathBuf)> {
    let key = SYSTEM.signing_key_file.clone()?;
    Some((SYSTEM.base_url.clone(), SYSTEM.admin.clone(), key))
}
