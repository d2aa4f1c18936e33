//! The cache's stand-in: a real `redis-server` with TLS, where a password and a user's name are wanted.

use std::{path::Path, process::Stdio, sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use r#break::guard::Guard;
use redis::{FromRedisValue, aio::MultiplexedConnection};
use store::testing::free_port;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

const READY_WITHIN: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);
const USER: &str = "functions";

/// A running server.
pub struct Redis {
    /// `rediss://USER:PASSWORD@localhost:PORT?ca=FILE`, with the file of the certificate that the server shows.
    pub url: String,
    plain: u16,
    password: String,
    guard: Arc<Guard>,
    child: Child,
}

impl Redis {
    /// Starts a server that keeps its data in `dir`.
    pub async fn start(dir: &Path, guard: Arc<Guard>) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        let ca_file = dir.join("redis.crt");
        std::fs::write(&ca_file, certified.cert.pem())?;
        std::fs::write(dir.join("redis.key"), certified.signing_key.serialize_pem())?;
        let password = crate::request_id();
        let (tls, plain) = (free_port()?, free_port()?);
        let configuration = configuration(tls, plain, &password);
        std::fs::write(dir.join("redis.conf"), configuration)?;
        let mut command = Command::new("redis-server");
        command.arg("redis.conf").current_dir(dir);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.process_group(0).kill_on_drop(true);
        let child = command.spawn().context("cannot start redis-server")?;
        if let Some(id) = child.id() {
            guard.watch(id);
        }
        let mut redis = Self {
            url: format!(
                "rediss://{USER}:{password}@localhost:{tls}?ca={}",
                ca_file.display()
            ),
            plain,
            password,
            guard,
            child,
        };
        redis.ready().await?;
        Ok(redis)
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + READY_WITHIN;
        while self.command::<String>(&["PING"]).await.is_err() {
            ensure!(
                self.child.try_wait()?.is_none() && Instant::now() < until,
                "redis-server does not start: is it built with TLS?"
            );
            sleep(POLL).await;
        }
        Ok(())
    }

    /// Sends one command, over a port without TLS that no function knows.
    pub async fn command<T: FromRedisValue>(&self, words: &[&str]) -> anyhow::Result<T> {
        let url = format!("redis://{USER}:{}@127.0.0.1:{}/", self.password, self.plain);
        let client = redis::Client::open(url)?;
        let mut connection: MultiplexedConnection =
            client.get_multiplexed_async_connection().await?;
        let mut command = redis::Cmd::new();
        for word in words {
            command.arg(*word);
        }
        Ok(command.query_async(&mut connection).await?)
    }

    /// Closes the connections of all clients, as a fail-over does.
    pub async fn hang_up(&self) -> anyhow::Result<u64> {
        self.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])
            .await
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(id) = self.child.id() {
            // Before it is waited for, its id is nobody else's.
            let _ = self.child.start_kill();
            self.guard.forget(id);
        }
    }
}

fn configuration(tls: u16, plain: u16, password: &str) -> String {
    format!(
        "bind 127.0.0.1 -::1\n\
         port {plain}\n\
         tls-port {tls}\n\
         tls-cert-file redis.crt\n\
         tls-key-file redis.key\n\
         tls-ca-cert-file redis.crt\n\
         tls-auth-clients no\n\
         user default off\n\
         user {USER} on >{password} ~* &* +@all\n\
         maxmemory-policy noeviction\n\
         appendonly no\n\
         save \"\"\n\
         logfile redis.log\n"
    )
}
