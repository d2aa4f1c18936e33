//! Processes whose clocks are wrong.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use auth::{Caller, SigningKey};
use domain::Timestamp;
use futures::future::try_join_all;
use race::client::Request;
use tokio::time::sleep;

use super::{Form, all_is_well, functions::until};
use crate::{
    audit::{Allowed, audit},
    fleet::Fleet,
    shop::{Shop, Terms},
};

const FIVE_MINUTES_MS: i64 = 300_000;
/// Less than the clocks are wrong by, and more than it takes to look at all orders.
const PAY_WITHIN: Duration = Duration::from_mins(4);
const OPENS_IN: Duration = Duration::from_secs(5);
/// How exactly an instance knows Redis' clock.
const MEASURED: Duration = Duration::from_millis(500);
const UNITS: u32 = 8;
/// Of an access token.
const TOKEN_LIFETIME: Duration = Duration::from_mins(15);

/// Whatever a process' own clock says, a sale opens, tokens are good and orders expire by Redis' clock: first with those
/// who open and expire too early and those who check behind, then the other way round.
pub async fn fault_16_clocks_differ_by_five_minutes(
    fleet: &Fleet,
    _form: Form,
) -> anyhow::Result<()> {
    set_clocks(fleet, FIVE_MINUTES_MS).await?;
    let terms = Terms {
        opens_in: OPENS_IN,
        pay_within: PAY_WITHIN,
        ..Terms::units(UNITS)
    };
    let shop = Shop::open(fleet, terms).await?;
    does_not_open_early(&shop).await?;
    an_expired_token_is_refused(fleet).await?;
    let shoppers = shop.crowd(0, 12, Duration::from_millis(500)).ends().await;
    all_is_well(&shop, &shoppers).await?;
    // The sweepers look a few times more.
    sleep(Duration::from_secs(2)).await;
    all_is_well(&shop, &shoppers).await?;

    set_clocks(fleet, -FIVE_MINUTES_MS).await?;
    let terms = Terms {
        pay_within: Duration::from_secs(1),
        ..Terms::units(UNITS)
    };
    let shop = Shop::open(fleet, terms).await?;
    let shoppers = shop
        .crowd(0, UNITS, Duration::from_millis(200))
        .ends()
        .await;
    until("all orders expire", async || {
        Ok(shop.stats().await?.store.free == u64::from(UNITS))
    })
    .await?;
    let found = audit(&shop, &shoppers, UNITS, Allowed::Nothing).await?;
    ensure!(found.live.is_empty(), "I6: an expired order is live");
    Ok(())
}

/// Sets the clocks of those who give out and of those who expire ahead, and of those who check behind.
async fn set_clocks(fleet: &Fleet, offset_ms: i64) -> anyhow::Result<()> {
    let ahead = [
        "spike-token",
        "order-writer",
        "admin-spikes",
        "sweeper",
        "second-sweeper",
    ];
    try_join_all(fleet.functions.iter().map(|function| {
        let is_ahead = ahead.contains(&function.name);
        function.set_clock(if is_ahead { offset_ms } else { -offset_ms })
    }))
    .await
    .map(drop)
}

async fn does_not_open_early(shop: &Shop<'_>) -> anyhow::Result<()> {
    let path = format!("/spikes/{}/token", shop.spike_id);
    let token = Request::post(path).bearer(&shop.fleet.buyers[0].bearer);
    let mut refused = 0;
    loop {
        let answer = shop.fleet.client.send(&token).await?;
        if now() + MEASURED > shop.starts_at {
            ensure!(refused > 0, "the machine is too slow to tell");
            return Ok(());
        }
        let outcome = answer.outcome();
        ensure!(outcome == "425 too-early", "before the start: {outcome}");
        refused += 1;
        sleep(Duration::from_millis(250)).await;
    }
}

/// Two minutes ago, by the true clock.
async fn an_expired_token_is_refused(fleet: &Fleet) -> anyhow::Result<()> {
    let pem = std::fs::read_to_string(&fleet.signing_key_file)?;
    let key = SigningKey::from_pem(&pem, &fleet.base_url)?;
    let bearer = &fleet.buyers[0].bearer;
    let token = bearer.to_str()?.trim_start_matches("Bearer ");
    let caller = Caller {
        user_id: auth::unverified_subject(token).context("no subject")?,
        roles: Vec::new(),
    };
    let signed_at = now() - TOKEN_LIFETIME - Duration::from_mins(2);
    let expired = race::api::bearer(&key.sign(&caller, signed_at)?)?;
    for (bearer, due) in [(&expired, "401 unauthorized"), (bearer, "200")] {
        let list = Request::get("/orders").bearer(bearer);
        let outcome = fleet.client.send(&list).await?.outcome();
        ensure!(outcome == due, "{outcome} where {due} was due");
    }
    Ok(())
}

fn now() -> Timestamp {
    runtime::clock::system()()
}
