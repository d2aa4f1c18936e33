//! The durable store of a data directory: the DynamoDB API on an SQLite file, on a loopback port.
//!
//! The engine works on threads of its own: it waits for the disk, and nothing else is to wait with it.

use std::{io, net::SocketAddr, thread};

use anyhow::Context;
use dynoxide::{Database, server};
use store::DynamoStore;
use tokio::{net::TcpListener, sync::oneshot};
use url::Url;

use crate::data::Data;

/// The niceness of the store's threads: behind buyers, before the hashes of passwords that somebody guesses.
#[cfg(target_os = "linux")]
const LESS_URGENT: i32 = 10;

/// A running store. Dropping it ends it; [`Engine::stop`] also waits until it has.
#[derive(Debug)]
pub struct Engine {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<Result<(), String>>,
}

impl Engine {
    /// Opens the file and listens on a port of the loopback address (0: a free one).
    pub fn start(data: &Data, port: u16) -> anyhow::Result<Self> {
        let file = data.dir("store")?.join("spike.sqlite");
        let file = file
            .to_str()
            .context("the data directory's name is not UTF-8")?;
        let database = Database::new(file)
            .map_err(|error| anyhow::anyhow!("cannot open the store {file}: {error}"))?;
        let listener = crate::listen(port)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let ended = spawn(listener, database, stopped)?;
        Ok(Self {
            address,
            stop,
            ended,
        })
    }

    /// Its address, as `STORE_URL` takes it.
    pub fn url(&self) -> anyhow::Result<Url> {
        Ok(format!("dynamodb+http://{}", self.address).parse()?)
    }

    /// A client of it, with all tables there.
    pub async fn connect(&self) -> anyhow::Result<DynamoStore> {
        let store = DynamoStore::connect(&self.url()?)?;
        store
            .create_tables()
            .await
            .context("cannot create the tables")?;
        Ok(store)
    }

    /// Finishes the requests under way and closes the file.
    pub async fn stop(self) -> anyhow::Result<()> {
        // Whoever has ended already needs no signal.
        let _ = self.stop.send(());
        self.ended
            .await
            .context("the store has failed")?
            .map_err(anyhow::Error::msg)
    }
}

fn spawn(
    listener: TcpListener,
    database: Database,
    stopped: oneshot::Receiver<()>,
) -> anyhow::Result<oneshot::Receiver<Result<(), String>>> {
    let listener = listener.into_std()?;
    let (end, ended) = oneshot::channel();
    let serve = move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("store")
            .on_thread_start(give_way)
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener)?;
            let stopped = async { drop(stopped.await) };
            let served = server::serve_with_shutdown(listener, database, stopped).await;
            served.map_err(io::Error::other)
        })
    };
    let thread = thread::Builder::new().name("store".to_owned());
    thread.spawn(move || {
        // Nobody may wait for it any more.
        let _ = end.send(serve().map_err(|error| error.to_string()));
    })?;
    Ok(ended)
}

/// Lets buyers go first: orders are written in the gaps between their requests. A sale of a hundred units has a hundred
/// orders to write and ten thousand people to answer, and on a small machine both are due in the same moment.
///
/// Only Linux gives a thread a priority of its own.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) =
        rustix::process::setpriority_process(Some(rustix::thread::gettid()), LESS_URGENT)
    {
        tracing::debug!(%error, "the store keeps its priority");
    }
}
