//! One run: compare what there is with what the calendar wants, and change what differs.

use domain::{Spike, Timestamp};
use futures::future::join_all;
use store::Store;

use crate::{
    AppState, Error, Hot, Outcome, Seen, Summary,
    capacity::{Applied, CapacityError, Level},
    plan::{Sale, Step, step},
};

/// How often a function is read again because somebody else changed it meanwhile.
const TRIES: usize = 3;
/// How many units are asked about in one call.
const UNITS_AT_ONCE: u32 = 100;

/// Sees to every hot function. One that fails does not stop the others; the first failure is the answer.
pub async fn run(app: &AppState) -> Result<Summary, Error> {
    let spikes = app.store.live_spikes().await?;
    let levels = join_all(app.hot.iter().map(async |hot| (hot, level(app, hot).await))).await;
    // Whether an open sale is sold out takes a look at its units, and matters only where something would be done if it
    // were, or if it were not.
    let now = (app.clock)();
    let at_best = calendar(&spikes, |spike| now >= spike.settings.starts_at);
    let at_worst = calendar(&spikes, |_| false);
    let differs = |(hot, level): &(&Hot, Result<Level, Error>)| {
        let is_done = |sales: &[Sale], level| decide(app, hot, sales, now, level) == Step::Keep;
        let level = level.as_ref();
        level.is_ok_and(|level| !is_done(&at_best, level) || !is_done(&at_worst, level))
    };
    let sales = if levels.iter().any(differs) {
        look_closely(app.store.as_ref(), &spikes, now).await?
    } else {
        at_best
    };
    let mut functions = Vec::new();
    let mut failure = None;
    for (hot, level) in levels {
        let seen = match level {
            Ok(level) => settle(app, hot, &sales, level).await,
            Err(error) => Err(error),
        };
        match seen {
            Ok(seen) => functions.push(seen),
            Err(error) if failure.is_none() => failure = Some(error),
            Err(error) => tracing::warn!(function = hot.function, ?error, "not seen to either"),
        }
    }
    match failure {
        None => Ok(Summary { functions }),
        Some(error) => Err(error),
    }
}

async fn level(app: &AppState, hot: &Hot) -> Result<Level, Error> {
    let level = app.capacity.level(hot.function).await;
    level.map_err(|source| failed(hot, source))
}

fn failed(hot: &Hot, source: CapacityError) -> Error {
    Error::Capacity {
        function: hot.function,
        source,
    }
}

fn decide(app: &AppState, hot: &Hot, sales: &[Sale], now: Timestamp, level: &Level) -> Step {
    step(now, sales, hot.buyers_per_instance, &app.bounds, level)
}

/// Changes what is to be changed. Time is read for each try: what was early enough a moment ago may be too late now.
async fn settle(
    app: &AppState,
    hot: &Hot,
    sales: &[Sale],
    mut level: Level,
) -> Result<Seen, Error> {
    let function = hot.function;
    let seen = |instances, outcome| Seen {
        function: function.to_owned(),
        instances,
        outcome,
    };
    for _ in 0..TRIES {
        let to = match decide(app, hot, sales, (app.clock)(), &level) {
            Step::Keep => return Ok(seen(level.at, Outcome::Kept)),
            Step::Hold(id) => {
                tracing::info!(function, instances = level.at, spike.id = %id, "left as it is until this sale is over");
                return Ok(seen(level.at, Outcome::Held));
            }
            Step::Change(to) => to,
        };
        let applied = app.capacity.set(function, &level, to).await;
        match applied.map_err(|source| failed(hot, source))? {
            Applied::Done => {
                tracing::info!(
                    function,
                    instances.was = level.at,
                    instances = to,
                    "capacity changed"
                );
                let outcome = if to > level.at {
                    Outcome::Raised
                } else {
                    Outcome::Lowered
                };
                return Ok(seen(to, outcome));
            }
            Applied::Conflict => level = self::level(app, hot).await?,
        }
    }
    Err(failed(hot, CapacityError::Contended))
}

fn calendar(spikes: &[Spike], sold_out: impl Fn(&Spike) -> bool) -> Vec<Sale> {
    let spikes = spikes.iter();
    spikes
        .map(|spike| Sale::of(spike, sold_out(spike)))
        .collect()
}

/// The calendar, with what the store knows about the units of sales that are open.
async fn look_closely(
    store: &dyn Store,
    spikes: &[Spike],
    now: Timestamp,
) -> Result<Vec<Sale>, store::Error> {
    let mut sales = Vec::new();
    for spike in spikes {
        let open = now >= spike.settings.starts_at && !spike.has_ended(now);
        let sold_out = open && is_sold_out(store, spike).await?;
        sales.push(Sale::of(spike, sold_out));
    }
    Ok(sales)
}

/// Whether each unit has a holder, an order or the house. Units of unpaid orders may still come back; what they are worth
/// does not need the capacity of a start.
///
/// Units are handed out from the lowest, so this looks from the highest down: while some were never sold, one call tells.
async fn is_sold_out(store: &dyn Store, spike: &Spike) -> Result<bool, store::Error> {
    let mut last = spike.top;
    while last > 0 {
        let first = last.saturating_sub(UNITS_AT_ONCE - 1).max(1);
        let held = store.claims(spike.id, first, last).await?.len();
        if u32::try_from(held).is_ok_and(|held| held < last + 1 - first) {
            return Ok(false);
        }
        last = first - 1;
    }
    Ok(true)
}
