//! How commands reach Redis, and how long they may take.

use std::{io, time::Duration};

use redis::{
    Client, Cmd, IntoConnectionInfo, Pipeline, RedisError, RedisFuture, RedisResult, Value,
    aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig},
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};
use url::Url;

use crate::Error;

/// What a purchase waits for Redis; then the buyer gets a 503.
const QUICK: Duration = Duration::from_millis(100);
/// What a load, an audit's page and whatever else walks over many units may take; nobody waits for these.
const PATIENT: Duration = Duration::from_secs(5);
/// What one attempt to connect may take.
const CONNECT: Duration = Duration::from_secs(1);
/// How long a peer that has vanished without a word is believed in.
const VANISHED: Duration = Duration::from_secs(5);

/// A way to Redis that can be shared: every clonable `ConnectionLike`, a simulator's too.
pub trait Connection: ConnectionLike + Send + Sync {
    /// Another handle of the same connection.
    fn boxed_clone(&self) -> Box<dyn Connection>;
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> Connection for C {
    fn boxed_clone(&self) -> Box<dyn Connection> {
        Box::new(self.clone())
    }
}

/// One connection with two deadlines.
///
/// It is opened anew when it breaks, once for all who wait, and a command is never sent twice: after its deadline the
/// caller is told that Redis is unavailable, so that a slow Redis does not get more to do than a fast one.
#[derive(Clone)]
pub(crate) struct Bounded {
    manager: ConnectionManager,
    within: Duration,
}

impl Bounded {
    /// Connects; answers with the handle for purchases and the one for long answers.
    pub(crate) async fn connect(url: &Url) -> Result<(Self, Self), Error> {
        let keepalive = TcpKeepalive::new()
            .with_time(VANISHED)
            .with_interval(Duration::from_secs(1));
        let tcp = TcpSettings::default()
            .set_nodelay(true)
            .set_keepalive(keepalive);
        #[cfg(target_os = "linux")]
        let tcp = tcp.set_user_timeout(VANISHED);
        let info = url.as_str().into_connection_info()?.set_tcp_settings(tcp);
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(None);
        let manager = Client::open(info)?
            .get_connection_manager_with_config(config)
            .await?;
        let bounded = |within| Self {
            manager: manager.clone(),
            within,
        };
        Ok((bounded(QUICK), bounded(PATIENT)))
    }
}

impl ConnectionLike for Bounded {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        let within = self.within;
        Box::pin(async move { bounded(within, self.manager.send_packed_command(cmd)).await })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let within = self.within;
        let answers = self.manager.send_packed_commands(cmd, offset, count);
        Box::pin(async move { bounded(within, answers).await })
    }

    fn get_db(&self) -> i64 {
        self.manager.get_db()
    }
}

async fn bounded<T>(
    within: Duration,
    answer: impl Future<Output = RedisResult<T>>,
) -> RedisResult<T> {
    let answer = tokio::time::timeout(within, answer).await;
    answer.unwrap_or_else(|_| Err(RedisError::from(io::Error::from(io::ErrorKind::TimedOut))))
}
