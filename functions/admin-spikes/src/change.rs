//! `POST /admin/spikes`, `PUT /admin/spikes/{spike_id}`, `POST .../pause` and `POST .../resume`.

use auth::Admin;
use std::time::Duration;

use axum::{
    extract::{FromRequestParts, State},
    http::{StatusCode, header, request::Parts},
    response::IntoResponse,
};
use domain::{
    Spike, SpikeId, Units,
    spike::{InvalidSetting, MAX_STOCK, Settings},
};
use runtime::{
    Problem,
    extract::{IfMatch, Json, Path},
};
use sale::Loadable;

use crate::{
    AppState, Error,
    apply::{apply, update},
    view::{AdminSpike, answer},
};

/// How long a lowering may take while the admin waits; the sweeper does the rest.
const LOWER_WITHIN: Duration = Duration::from_secs(3);

/// The version that the caller read, if they say so: a pause must not lose against an edit (ADR 13).
pub(crate) struct MaybeIfMatch(Option<u64>);

impl<S: Send + Sync> FromRequestParts<S> for MaybeIfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match parts.headers.get(header::IF_MATCH) {
            None => Ok(Self(None)),
            // Any version will do: that there is one is found out anyway.
            Some(any) if any.as_bytes() == b"*" => Ok(Self(None)),
            Some(_) => {
                let IfMatch(version) = IfMatch::from_request_parts(parts, state).await?;
                Ok(Self(Some(version)))
            }
        }
    }
}

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
    failpoint::pass("admin-spikes.added");
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
/// keep theirs. An end that has passed ends the sale. Once the sale has started its start stays.
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
        if now >= was.settings.starts_at && settings.starts_at != was.settings.starts_at {
            return Err(Error::Started);
        }
        with_settings(was, settings.clone()).map(Some)
    })
    .await?;
    tracing::info!(spike.id = %spike.id, spike.version = spike.version, caller.id = %caller.user_id, "spike changed");
    failpoint::pass("admin-spikes.changed");
    apply(&app, &spike).await?;
    failpoint::pass("admin-spikes.configured");
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
    params(
        ("spike_id" = SpikeId, Path, description = "The spike."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of what was read, if it must be that."),
    ),
    security(("bearer" = [])),
    responses((
        status = 200, description = "The spike is paused, by this call or an earlier one.", body = AdminSpike,
        headers(("ETag" = String, description = "The version.")),
    )),
)]
pub(crate) async fn pause(
    State(app): State<AppState>,
    Admin(caller): Admin,
    Path(spike_id): Path<SpikeId>,
    version: MaybeIfMatch,
) -> Result<impl IntoResponse, Error> {
    let spike = turn(&app, spike_id, true, version).await?;
    tracing::info!(spike.id = %spike.spike_id, spike.version = spike.version, caller.id = %caller.user_id, "spike paused");
    Ok(answer(spike))
}

/// Lets a paused sale go on.
#[utoipa::path(
    post, path = "/admin/spikes/{spike_id}/resume", tag = "admin", operation_id = "resume_spike",
    params(
        ("spike_id" = SpikeId, Path, description = "The spike."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of what was read, if it must be that."),
    ),
    security(("bearer" = [])),
    responses((
        status = 200, description = "The spike is not paused, or no longer.", body = AdminSpike,
        headers(("ETag" = String, description = "The version.")),
    )),
)]
pub(crate) async fn resume(
    State(app): State<AppState>,
    Admin(caller): Admin,
    Path(spike_id): Path<SpikeId>,
    version: MaybeIfMatch,
) -> Result<impl IntoResponse, Error> {
    let spike = turn(&app, spike_id, false, version).await?;
    tracing::info!(spike.id = %spike.spike_id, spike.version = spike.version, caller.id = %caller.user_id, "spike resumed");
    Ok(answer(spike))
}

/// Pauses or resumes. Redis is told even where the store says so already: an earlier call may not have come that far.
///
/// A pause of what is paused is a new version too: a [`delete`](crate::delete) that paused it and comes too late takes
/// back only its own pause.
async fn turn(
    app: &AppState,
    spike_id: SpikeId,
    paused: bool,
    MaybeIfMatch(version): MaybeIfMatch,
) -> Result<AdminSpike, Error> {
    let now = app.stock.now();
    let spike = update(app, spike_id, |was| {
        if was.has_ended(now) {
            return Err(Error::Ended);
        }
        if version.is_some_and(|version| version != was.version) {
            return Err(Error::Mismatch);
        }
        Ok((paused || was.paused).then(|| Spike {
            paused,
            version: was.version + 1,
            ..was.clone()
        }))
    })
    .await?;
    failpoint::pass("admin-spikes.turned");
    apply(app, &spike).await?;
    Ok(AdminSpike::of(spike, now))
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

/// Takes free units back until there are no more than wanted or the time is up; how many, if there were too many.
async fn lower(app: &AppState, spike: &Spike) -> Result<Option<u32>, Error> {
    if spike.live_units() <= spike.settings.stock {
        return Ok(None);
    }
    // An earlier lowering may have retired units since what was changed here was read.
    let spike = app.store.spike(spike.id).await?.ok_or(Error::Unknown)?;
    let mut retired = 0;
    let lowering = sale::retire_to_target(app.store.as_ref(), &app.stock, &spike, &mut retired);
    if let Ok(lowered) = tokio::time::timeout(LOWER_WITHIN, lowering).await {
        lowered?;
    } else {
        tracing::info!(spike.id = %spike.id, "the sweeper goes on lowering the stock");
    }
    Ok(Some(retired))
}
