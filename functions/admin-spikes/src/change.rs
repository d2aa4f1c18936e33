//! `POST /admin/spikes`, `PUT /admin/spikes/{spike_id}`, `POST .../pause` and `POST .../resume`.

use auth::Admin;
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use domain::{
    Spike, SpikeId, Units,
    spike::{InvalidSetting, MAX_STOCK, Settings},
};
use runtime::extract::{IfMatch, Json, Path};
use sale::Loadable;

use crate::{
    AppState, Error,
    apply::{apply, update},
    view::{AdminSpike, answer},
};

/// Makes a spike. It can be bought from when it starts; its rules are compiled now, so that none is found bad later.
#[utoipa::path(
    post, path = "/admin/spikes", tag = "admin", operation_id = "create_spike",
    request_body = Settings, security(("bearer" = [])),
    responses((
        status = 201, description = "The spike is made.", body = AdminSpike,
        headers(
            ("ETag" = String, description = "The version, for `If-Match`."),
            ("Location" = String, description = "The spike's address."),
        ),
    )),
)]
pub(crate) async fn create(
    State(app): State<AppState>,
    Admin(caller): Admin,
    Json(settings): Json<Settings>,
) -> Result<impl IntoResponse, Error> {
    let now = app.stock.now();
    check(&settings).await?;
    if settings.ends_at <= now {
        return Err(InvalidSetting {
            field: "ends_at",
            problem: "in the future",
        }
        .into());
    }
    let spike = Spike::new(SpikeId::mint(now, auth::random()), settings, now);
    if !app.store.add_spike(&spike).await? {
        return Err(store::Error::Unavailable("an id was drawn twice".into()).into());
    }
    tracing::info!(spike.id = %spike.id, caller.id = %caller.user_id, "spike made");
    let loaded = sale::load(app.store.as_ref(), &app.stock, spike.id, Loadable::Live).await;
    if let Err(error) = loaded {
        tracing::warn!(spike.id = %spike.id, %error, "the sweeper is left to load the sale");
    }
    let location = [(header::LOCATION, format!("/admin/spikes/{}", spike.id))];
    Ok((
        StatusCode::CREATED,
        location,
        answer(AdminSpike::of(spike, now)),
    ))
}

/// Replaces what was decided about a spike, before or during its sale.
///
/// More stock is on offer at once. Less stock takes back only units that are free, now and as they come free; buyers
/// keep theirs. An end that has passed ends the sale.
#[utoipa::path(
    put, path = "/admin/spikes/{spike_id}", tag = "admin", operation_id = "replace_spike",
    params(
        ("spike_id" = SpikeId, Path, description = "The spike."),
        ("If-Match" = String, Header, description = "The `ETag` of what was read."),
    ),
    request_body = Settings, security(("bearer" = [])),
    responses((
        status = 200, description = "The spike as it is now. With `retired_now` if stock was lowered.", body = AdminSpike,
        headers(("ETag" = String, description = "The new version.")),
    )),
)]
pub(crate) async fn replace(
    State(app): State<AppState>,
    Admin(caller): Admin,
    Path(spike_id): Path<SpikeId>,
    IfMatch(version): IfMatch,
    Json(settings): Json<Settings>,
) -> Result<impl IntoResponse, Error> {
    check(&settings).await?;
    let now = app.stock.now();
    let spike = update(&app, spike_id, |was| {
        if was.has_ended(now) {
            return Err(Error::Ended);
        }
        if was.version != version {
            return Err(Error::Mismatch);
        }
        with_settings(was, settings.clone()).map(Some)
    })
    .await?;
    tracing::info!(spike.id = %spike.id, spike.version = spike.version, caller.id = %caller.user_id, "spike changed");
    apply(&app, &spike).await?;
    app.stock.offer(spike.id, spike.top, &Units::none()).await?;
    let retired_now = lower(&app, &spike).await?;
    let spike = match retired_now {
        Some(_) => app.store.spike(spike_id).await?.ok_or(Error::Unknown)?,
        None => spike,
    };
    Ok(answer(AdminSpike {
        retired_now,
        ..AdminSpike::of(spike, now)
    }))
}

/// Pauses the sale: from this answer on nobody can reserve, until it is resumed.
#[utoipa::path(
    post, path = "/admin/spikes/{spike_id}/pause", tag = "admin", operation_id = "pause_spike",
    params(("spike_id" = SpikeId, Path, description = "The spike.")), security(("bearer" = [])),
    responses((
        status = 200, description = "The spike is paused, by this call or an earlier one.", body = AdminSpike,
        headers(("ETag" = String, description = "The version.")),
    )),
)]
pub(crate) async fn pause(
    State(app): State<AppState>,
    _admin: Admin,
    Path(spike_id): Path<SpikeId>,
) -> Result<impl IntoResponse, Error> {
    turn(&app, spike_id, true).await
}

/// Lets a paused sale go on.
#[utoipa::path(
    post, path = "/admin/spikes/{spike_id}/resume", tag = "admin", operation_id = "resume_spike",
    params(("spike_id" = SpikeId, Path, description = "The spike.")), security(("bearer" = [])),
    responses((
        status = 200, description = "The spike is not paused, or no longer.", body = AdminSpike,
        headers(("ETag" = String, description = "The version.")),
    )),
)]
pub(crate) async fn resume(
    State(app): State<AppState>,
    _admin: Admin,
    Path(spike_id): Path<SpikeId>,
) -> Result<impl IntoResponse, Error> {
    turn(&app, spike_id, false).await
}

/// Pauses or resumes. Redis is told even where the store says so already: an earlier call may not have come that far.
async fn turn(
    app: &AppState,
    spike_id: SpikeId,
    paused: bool,
) -> Result<impl IntoResponse + use<>, Error> {
    let now = app.stock.now();
    let spike = update(app, spike_id, |was| {
        if was.has_ended(now) {
            return Err(Error::Ended);
        }
        Ok((was.paused != paused).then(|| Spike {
            paused,
            version: was.version + 1,
            ..was.clone()
        }))
    })
    .await?;
    apply(app, &spike).await?;
    Ok(answer(AdminSpike::of(spike, now)))
}

async fn check(settings: &Settings) -> Result<(), Error> {
    settings.validate()?;
    access::compile(&settings.rules)
        .await
        .map_err(Error::Rule)?;
    Ok(())
}

/// The spike with other settings. Where more units are wanted than live, `top` grows by as many.
fn with_settings(was: &Spike, settings: Settings) -> Result<Spike, Error> {
    let top = was.top.max(settings.stock.saturating_add(was.retired));
    if top > MAX_STOCK {
        // Numbers of units that were taken back are not used again.
        let problem = "at most 100000 together with the units that were taken back";
        return Err(InvalidSetting {
            field: "stock",
            problem,
        }
        .into());
    }
    Ok(Spike {
        settings,
        top,
        version: was.version + 1,
        ..was.clone()
    })
}

/// Takes free units back until there are no more than wanted; how many, if there were too many.
async fn lower(app: &AppState, spike: &Spike) -> Result<Option<u32>, Error> {
    if spike.live_units() <= spike.settings.stock {
        return Ok(None);
    }
    let retired = sale::retire_to_target(app.store.as_ref(), &app.stock, spike).await?;
    Ok(Some(retired))
}
