//! Lowering stock: a purchase by the house (rule 7).

use domain::{OrderId, Spike, SpikeId, Unit, Units, UserId};
use futures::{StreamExt, stream};
use stock::{Stock, Truth};
use store::{Claim, Holder, Retirement, Store};

use crate::Error;

/// How many units are retired at once.
const AT_ONCE: usize = 8;

/// What became of a unit that the house took in Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is the house's for good, by this call.
    Retired,
    /// It was the house's for good before.
    RetiredBefore,
    /// The target is met: it is on offer again.
    GivenBack,
    /// It is a buyer's, and Redis knows that now.
    Anothers {
        /// The buyer's order.
        order_id: OrderId,
        /// The buyer.
        user_id: UserId,
        /// Whether Redis knows it by this call.
        learned: bool,
    },
    /// Its buyer's order has just ended. Nothing is done; it is to be asked about again.
    Undecided,
}

/// Retires free units until `top - retired` is the spike's `stock`, or none is free; adds each to `retired` as it goes, so
/// that a caller who runs out of time knows how many there were.
///
/// Units that the house took in Redis before and the store was not asked about are decided first, and count as the
/// units that are wanted now: a lowering that breaks off takes no more units off the offer than it was to retire. One unit
/// that fails stops no other; the first failure is the answer. Units that come free later are retired by the sweeper. Any
/// number of callers together retire no more than the target asks for: the store counts.
pub async fn retire_to_target(
    store: &dyn Store,
    stock: &Stock,
    spike: &Spike,
    retired: &mut u32,
) -> Result<(), Error> {
    let mut surplus = spike.live_units().saturating_sub(spike.settings.stock);
    loop {
        let units = stock.retire(spike.id, surplus).await?;
        failpoint::pass("sale.taken-by-the-house");
        let done = retire_units(store, stock, spike.id, &units, retired).await?;
        surplus = surplus.saturating_sub(done);
        if surplus == 0 || done == 0 {
            return Ok(());
        }
    }
}

/// Has the store decide about units that the house took; how many it retired.
async fn retire_units(
    store: &dyn Store,
    stock: &Stock,
    spike_id: SpikeId,
    units: &Units,
    retired: &mut u32,
) -> Result<u32, Error> {
    let mut decisions = stream::iter(units.iter())
        .map(|unit| async move { (unit, retire_unit(store, stock, spike_id, unit).await) })
        .buffer_unordered(AT_ONCE);
    let (mut settled, mut done, mut failure) = (Vec::with_capacity(units.len()), 0, None);
    while let Some((unit, decision)) = decisions.next().await {
        match decision {
            Ok(Taken::Undecided) => {}
            Ok(taken) => {
                settled.push(unit);
                report_conflict(spike_id, unit, taken);
                let is_new = u32::from(taken == Taken::Retired);
                done += is_new;
                *retired += is_new;
            }
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    stock
        .settle(spike_id, &settled.into_iter().collect())
        .await?;
    failure.map_or(Ok(done), Err)
}

/// The house took what is a buyer's: that is a conflict like any other.
fn report_conflict(spike_id: SpikeId, unit: Unit, taken: Taken) {
    if let Taken::Anothers {
        order_id,
        user_id,
        learned: true,
    } = taken
    {
        observe::CONFLICTS.add(1, [&spike_id]);
        tracing::warn!(
            spike.id = %spike_id, unit, order.id = %order_id, user.id = %user_id,
            "unit conflict: the house took a unit that is a buyer's"
        );
    }
}

/// Makes the house's hold of a unit durable, or gives the unit back.
pub async fn retire_unit(
    store: &dyn Store,
    stock: &Stock,
    spike_id: SpikeId,
    unit: Unit,
) -> Result<Taken, Error> {
    match store.retire_unit(spike_id, unit).await? {
        Retirement::Retired => Ok(Taken::Retired),
        Retirement::Taken(Holder::House) => Ok(Taken::RetiredBefore),
        Retirement::TargetMet => {
            stock
                .unretire(spike_id, &[unit].into_iter().collect())
                .await?;
            Ok(Taken::GivenBack)
        }
        Retirement::Taken(holder) => learn(store, stock, spike_id, Claim { unit, holder }).await,
    }
}

/// Tells Redis that the unit is a buyer's, if it still is.
async fn learn(
    store: &dyn Store,
    stock: &Stock,
    spike_id: SpikeId,
    claim: Claim,
) -> Result<Taken, Error> {
    let Holder::Order { order_id, user_id } = claim.holder else {
        return Ok(Taken::Undecided);
    };
    let order = store.order(order_id).await?;
    let Some(order) = order.filter(|order| order.state.is_live()) else {
        return Ok(Taken::Undecided);
    };
    let truth = Truth::of(&order);
    let seen = Some(stock::Seen::House);
    let learned = stock.learn(spike_id, claim.unit, &truth, seen, 0).await?;
    Ok(Taken::Anothers {
        order_id,
        user_id,
        learned,
    })
}
