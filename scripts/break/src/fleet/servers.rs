//! What the functions stand on, and what stands in between.

use std::{sync::Arc, time::Duration};

use anyhow::bail;
use prewarm::testing::Cluster;
use store::testing::free_port;

use super::{Target, cast::Cast};
use crate::{
    mariadb,
    redis::Redis,
    service::Service,
    tap::{Mode, Tap},
    wire::Wire,
};

/// The way from the functions to the store.
#[derive(Debug)]
pub enum StoreWay {
    /// To the API of `DynamoDB`.
    Http(Tap),
    /// To `MariaDB`.
    Sql(Wire),
}

impl StoreWay {
    /// What `STORE_URL` is.
    #[must_use]
    pub fn url(&self) -> String {
        match self {
            Self::Http(tap) => format!("dynamodb+http://127.0.0.1:{}", tap.port),
            Self::Sql(wire) => mariadb::url(wire.port),
        }
    }

    /// Where requests can be answered in place of the store.
    pub fn tap(&self) -> anyhow::Result<&Tap> {
        match self {
            Self::Http(tap) => Ok(tap),
            Self::Sql(_) => bail!("this store is not asked by HTTP"),
        }
    }

    /// Where answers can be late.
    pub fn wire(&self) -> anyhow::Result<&Wire> {
        match self {
            Self::Http(_) => bail!("this store is asked by HTTP"),
            Self::Sql(wire) => Ok(wire),
        }
    }

    /// From now on everything passes as it is.
    pub(super) fn pass(&self) {
        match self {
            Self::Http(tap) => tap.set(Mode::Pass),
            Self::Sql(wire) => wire.delay(Duration::ZERO),
        }
    }
}

/// What `prewarm` scales.
const HOT: [&str; 3] = ["spike", "spike-token", "access-check"];

/// What the functions stand on, and what stands in between.
pub(super) struct Servers {
    pub(super) redis: Redis,
    pub(super) front_wire: Wire,
    pub(super) back_wire: Wire,
    pub(super) store: Service,
    pub(super) store_way: StoreWay,
    pub(super) broker: Service,
    pub(super) events: Tap,
    pub(super) deliveries: Tap,
    pub(super) writer_port: u16,
    pub(super) letters_port: u16,
    /// Who scales the functions of the Knative target.
    pub(super) cluster: Option<Cluster>,
}

impl Servers {
    /// Starts them. `inside` is where events are delivered on the Knative target, whose functions may have to be started.
    pub(super) async fn start(cast: &Cast<'_>, inside: u16) -> anyhow::Result<Self> {
        let (dir, guard) = (cast.dir.join("redis"), Arc::clone(cast.guard));
        let redis = Redis::start(&dir, free_port()?, guard).await?;
        let (writer_port, letters_port) = (free_port()?, free_port()?);
        let store = cast.store().await?;
        let (store_way, to_writer, to_letters) = match cast.target {
            Target::Local => {
                let tap = StoreWay::Http(Tap::start(store.port)?);
                (tap, writer_port, letters_port)
            }
            Target::Knative => (StoreWay::Sql(Wire::start(store.port)?), inside, inside),
        };
        let cluster = match cast.target {
            Target::Local => None,
            Target::Knative => Some(Cluster::of(&HOT).await),
        };
        let deliveries = Tap::start(to_writer)?;
        let broker = cast.broker(deliveries.port, to_letters)?;
        Ok(Self {
            front_wire: Wire::start(redis.port)?,
            back_wire: Wire::start(redis.port)?,
            store_way,
            events: Tap::start(broker.port)?,
            redis,
            store,
            deliveries,
            broker,
            writer_port,
            letters_port,
            cluster,
        })
    }
}
