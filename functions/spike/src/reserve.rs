//! Step 6: units from Redis, and what has to be done when Redis lacks the sale or the access verdict.

use domain::{OrderId, OrderPlaced, SpikeId, UserId, Verdict};
use sale::LoadOutcome;
use stock::{Request, Reserved};

use crate::{Error, Instance};

/// Asked, loaded, asked again, judged, asked again.
const MOST_ROUNDS: usize = 3;

/// What somebody wants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish {
    pub(crate) spike_id: SpikeId,
    pub(crate) user_id: UserId,
    pub(crate) quantity: u32,
}

/// What they have got.
#[derive(Debug)]
pub(crate) struct Reservation {
    pub(crate) placed: OrderPlaced,
    /// Whether the event still has to be published.
    pub(crate) pending: bool,
}

/// Reserves units, or answers with the reservation that the user has.
///
/// A refusal that holds for everybody raises the flag of step 1.
pub(crate) async fn reserve(app: &Instance, wish: Wish) -> Result<Reservation, Error> {
    let asked_at = app.flags.now();
    let reserved = ask(app, wish).await;
    if let Err(error) = &reserved
        && error.holds_for_everybody()
    {
        app.flags
            .raise(
                &app.stock,
                wish.spike_id,
                error.problem(wish.spike_id),
                asked_at,
            )
            .await;
    }
    reserved
}

async fn ask(app: &Instance, wish: Wish) -> Result<Reservation, Error> {
    let Wish {
        spike_id,
        user_id,
        quantity,
    } = wish;
    let order_id = OrderId::mint(app.stock.now(), (app.random)());
    let (mut verdict, mut loaded) = (None, false);
    for _ in 0..MOST_ROUNDS {
        let request = Request {
            spike_id,
            user_id,
            order_id,
            quantity,
            verdict: verdict.as_ref(),
        };
        match app.stock.reserve(&request).await? {
            Reserved::NotLoaded if !loaded => {
                load(app, spike_id).await?;
                loaded = true;
            }
            Reserved::NeedAccess if verdict.is_none() => verdict = Some(judge(app, wish).await?),
            answer => return reservation(answer, wish, order_id),
        }
    }
    Err(Error::Loading)
}

async fn load(app: &Instance, spike_id: SpikeId) -> Result<(), Error> {
    match app.sales.load(spike_id).await? {
        Some(LoadOutcome::Loaded | LoadOutcome::Present) => Ok(()),
        Some(LoadOutcome::Busy) | None => Err(Error::Loading),
        Some(LoadOutcome::Ended) => Err(Error::Ended),
        Some(LoadOutcome::Unknown) => Err(Error::BadToken),
    }
}

async fn judge(app: &Instance, wish: Wish) -> Result<Verdict, Error> {
    let spike = app
        .catalog
        .spike(wish.spike_id)
        .await?
        .ok_or(Error::BadToken)?;
    Ok(app.admission.verdict(&spike, wish.user_id).await?)
}

fn reservation(answer: Reserved, wish: Wish, order_id: OrderId) -> Result<Reservation, Error> {
    let Wish {
        spike_id, user_id, ..
    } = wish;
    let of = |order_id, units| OrderPlaced {
        order_id,
        spike_id,
        user_id,
        units,
    };
    match answer {
        Reserved::Won(units) => Ok(Reservation {
            placed: of(order_id, units),
            pending: true,
        }),
        Reserved::Replay {
            order_id,
            units,
            pending,
        } => Ok(Reservation {
            placed: of(order_id, units),
            pending,
        }),
        Reserved::SoldOut { left: 0 } => Err(Error::SoldOut),
        Reserved::SoldOut { left } => Err(Error::NotEnough { left }),
        Reserved::Early { ms } => Err(Error::TooEarly { ms }),
        Reserved::Ended => Err(Error::Ended),
        Reserved::Paused => Err(Error::Paused),
        Reserved::Healing => Err(Error::Healing),
        Reserved::Denied(reason) => Err(Error::Denied(reason)),
        Reserved::OverLimit { limit } => Err(Error::OverLimit { limit }),
        // Once the caller has brought what was asked for, asking for it again means that it was lost meanwhile.
        Reserved::NeedAccess | Reserved::NotLoaded => Err(Error::Loading),
    }
}

/// How long a client should wait for a sale that opens in `ms`: whole seconds, at least one and at most thirty, so that
/// an earlier start is not slept through.
pub(crate) fn wait_secs(ms: u64) -> u64 {
    ms.div_ceil(1_000).clamp(1, 30)
}
