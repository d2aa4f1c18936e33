//! `GET /admin/spikes/{spike_id}/stats`: the sale as Redis and the store see it.

use std::collections::HashSet;

use auth::Admin;
use axum::extract::State;
use domain::{OrderId, Spike, SpikeId, Unit};
use runtime::extract::{Json, Path};
use serde::Serialize;
use stock::{UNITS_PER_CALL, UnitState};
use store::{Claim, Holder};

use crate::{
    AppState, Balance, Error,
    balance::{self, Count, Known},
};

/// A sale in numbers. Reservations that are not written yet are the difference between the two sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(example = json!({
    "spike_id": "01900000-0000-7000-8000-000000000000", "stock": 100, "top": 120, "retired": 20,
    "redis": {"free": 58, "buyers": 42, "pending": 2, "next": 62, "epoch": 1},
    "store": {"free": 60, "held": 40, "retired": 20}, "free_differs": 2,
    "balance": {
        "free": 58, "queued": 2, "placed": 30, "paid": 10, "settling": 0, "retired": 20,
        "unreadable": 0, "balances": true,
        "on_the_way": [
            {"unit": 61, "state": "queued", "order_id": "01900000-0000-7000-8000-000000000001", "age_secs": 3},
            {"unit": 62, "state": "queued", "order_id": "01900000-0000-7000-8000-000000000002", "age_secs": 1},
        ]
    }
}))]
pub struct Stats {
    /// The spike.
    pub spike_id: SpikeId,
    /// How many units are wanted.
    pub stock: u32,
    /// The highest unit number.
    pub top: u32,
    /// How many units were taken back.
    pub retired: u32,
    /// The sale in Redis; null if it is not there.
    pub redis: Option<InRedis>,
    /// The units by the store.
    pub store: InStore,
    /// How many units are free on one side and not on the other; 0 at rest. Null if the sale is not in Redis.
    pub free_differs: Option<u32>,
    /// Where every unit is: `top` is the sum of these.
    pub balance: Balance,
}

/// A sale in Redis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct InRedis {
    /// Units on offer.
    pub free: u32,
    /// Users with a reservation or a live order.
    pub buyers: u32,
    /// Reservations that are not known to be written.
    pub pending: u32,
    /// The highest unit number that was handed out.
    pub next: u32,
    /// How often the sale was loaded.
    pub epoch: u64,
}

/// A spike's units in the store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct InStore {
    /// Units that nobody holds.
    pub free: u32,
    /// Units of live orders.
    pub held: u32,
    /// Units that were taken back.
    pub retired: u32,
}

/// Compares the sale in Redis with the store, unit by unit, and says where each is. Reads every unit's claim and every
/// order behind one: not for every second.
#[utoipa::path(
    get, path = "/admin/spikes/{spike_id}/stats", tag = "admin", operation_id = "read_spike_stats",
    params(("spike_id" = SpikeId, Path, description = "The spike.")), security(("bearer" = [])),
    responses((status = 200, description = "The sale in numbers.", body = Stats)),
)]
pub(crate) async fn stats(
    State(app): State<AppState>,
    _admin: Admin,
    Path(spike_id): Path<SpikeId>,
) -> Result<Json<Stats>, Error> {
    let spike = app.store.spike(spike_id).await?.ok_or(Error::Unknown)?;
    let sale = app.stock.sale(spike_id).await?;
    let compared = compare(&app, &spike).await?;
    Ok(Json(Stats {
        spike_id,
        stock: spike.settings.stock,
        top: spike.top,
        retired: spike.retired,
        redis: sale.map(|sale| InRedis {
            free: sale.left,
            buyers: sale.buyers,
            pending: sale.pending,
            next: sale.next,
            epoch: sale.epoch,
        }),
        store: compared.store,
        free_differs: compared.differing,
        balance: compared.count.balance(spike.top),
    }))
}

/// Both sides, compared.
struct Compared {
    store: InStore,
    differing: Option<u32>,
    count: Count,
}

async fn compare(app: &AppState, spike: &Spike) -> Result<Compared, Error> {
    let (mut counted, mut differing) = (InStore::default(), Some(0));
    let mut count_units = Count::at(app.stock.now());
    let mut first = 1;
    while first <= spike.top {
        let last = spike.top.min(first + UNITS_PER_CALL - 1);
        let claims = async {
            app.store
                .claims(spike.id, first, last)
                .await
                .map_err(Error::from)
        };
        let units = async {
            app.stock
                .units(spike.id, first, last)
                .await
                .map_err(Error::from)
        };
        let (claims, units) = tokio::try_join!(claims, units)?;
        let house = claims
            .iter()
            .filter(|claim| claim.holder == Holder::House)
            .count();
        counted.retired += count(house);
        counted.held += count(claims.len() - house);
        counted.free += last + 1 - first - count(claims.len());
        let orders = orders(app, &claims, units.as_deref().unwrap_or_default()).await?;
        let mut claimed = claims.iter().peekable();
        for (unit, index) in (first..=last).zip(0..) {
            let state = units
                .as_ref()
                .map(|states| states.get(index).unwrap_or(&UnitState::Missing));
            let claim = claimed.next_if(|claim| claim.unit == unit);
            count_units.unit(unit, claim, state, &orders);
        }
        differing = differing
            .zip(units)
            .map(|(sum, units)| sum + differences(first, &units, &claims));
        first = last + 1;
    }
    Ok(Compared {
        store: counted,
        differing,
        count: count_units,
    })
}

/// The orders behind claims and units. One that cannot be read hides none of the others.
async fn orders(app: &AppState, claims: &[Claim], units: &[UnitState]) -> Result<Known, Error> {
    let holders = claims.iter().filter_map(balance::order_of);
    let ids: HashSet<OrderId> = holders
        .chain(units.iter().filter_map(balance::held_by))
        .collect();
    if ids.is_empty() {
        return Ok(Known::default());
    }
    let ids: Vec<OrderId> = ids.into_iter().collect();
    let mut known = Known::default();
    let orders = match app.store.orders(&ids).await {
        Err(store::Error::Corrupt(_)) => {
            let mut orders = Vec::new();
            for id in ids {
                match app.store.order(id).await {
                    Err(store::Error::Corrupt(_)) => drop(known.unreadable.insert(id)),
                    order => orders.extend(order?),
                }
            }
            orders
        }
        orders => orders?,
    };
    known.orders = orders.into_iter().map(|it| (it.id, it)).collect();
    Ok(known)
}

/// How many units from `first` on are free by Redis and not by the claims, or the other way round.
fn differences(first: Unit, units: &[UnitState], claims: &[Claim]) -> u32 {
    let free_in_store = |unit| {
        claims
            .binary_search_by_key(&unit, |claim| claim.unit)
            .is_err()
    };
    let states = (first..).zip(units);
    count(
        states
            .filter(|(unit, state)| (**state == UnitState::OnOffer) != free_in_store(*unit))
            .count(),
    )
}

/// At most 100,000.
fn count(units: usize) -> u32 {
    u32::try_from(units).unwrap_or(u32::MAX)
}
