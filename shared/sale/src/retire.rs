//! Lowering stock: a purchase by the house (rule 7).

use domain::{Spike, SpikeId, Unit};
use futures::{StreamExt, TryStreamExt, stream};
use stock::{Stock, Truth};
use store::{Claim, Holder, Retirement, Store};

use crate::Error;

/// How many units are retired at once.
const AT_ONCE: usize = 8;

/// Retires free units until `top - retired` is the spike's `stock`, or none is free; how many were retired.
///
/// Units that come free later are retired by the sweeper. Any number of callers together retire no more than the target
/// asks for: the store counts.
pub async fn retire_to_target(
    store: &dyn Store,
    stock: &Stock,
    spike: &Spike,
) -> Result<u32, Error> {
    let surplus = spike.live_units().saturating_sub(spike.settings.stock);
    if surplus == 0 {
        return Ok(0);
    }
    let units = stock.retire(spike.id, surplus).await?;
    stream::iter(units.iter())
        .map(|unit| retire_unit(store, stock, spike.id, unit))
        .buffer_unordered(AT_ONCE)
        .try_fold(
            0,
            |retired, done| async move { Ok(retired + u32::from(done)) },
        )
        .await
}

/// Makes the house's hold of a unit durable, or gives the unit back; whether it is retired now.
pub async fn retire_unit(
    store: &dyn Store,
    stock: &Stock,
    spike_id: SpikeId,
    unit: Unit,
) -> Result<bool, Error> {
    match store.retire_unit(spike_id, unit).await? {
        Retirement::Retired | Retirement::Taken(Holder::House) => Ok(true),
        Retirement::TargetMet => {
            stock
                .unretire(spike_id, &[unit].into_iter().collect())
                .await?;
            Ok(false)
        }
        Retirement::Taken(holder) => {
            learn(store, stock, spike_id, Claim { unit, holder }).await?;
            Ok(false)
        }
    }
}

async fn learn(
    store: &dyn Store,
    stock: &Stock,
    spike_id: SpikeId,
    claim: Claim,
) -> Result<(), Error> {
    let Holder::Order { order_id, .. } = claim.holder else {
        return Ok(());
    };
    if let Some(order) = store
        .order(order_id)
        .await?
        .filter(|order| order.state.is_live())
    {
        let truth = Truth::of(&order);
        stock
            .learn(spike_id, claim.unit, &truth, Some(stock::Seen::House), 0)
            .await?;
    }
    Ok(())
}
