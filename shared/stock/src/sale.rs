//! A sale in Redis: loading it, configuring it, looking at it, dropping it.

use domain::{OrderId, Spike, SpikeId, Timestamp, Unit, Units, UserId, spike::Gate};
use redis::Value;

use crate::{
    Error, Stock,
    answer::{self, unreadable},
    keys::{COMPLETE, Key},
    script::{CONFIGURE, Call, DROP, LOAD, READ},
};

/// How long one loader has a spike for itself.
const LOADING_MS: u32 = 5_000;

/// What the store says about a sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The spike.
    pub spike_id: SpikeId,
    /// The spike item's version.
    pub version: u64,
    /// Open, paused or closed.
    pub gate: Gate,
    /// When the sale opens, by Redis' clock.
    pub starts_at: Timestamp,
    /// When it ends, by Redis' clock.
    pub ends_at: Timestamp,
    /// How many units one user may buy.
    pub limit_per_user: u32,
    /// Whether the spike has access rules, so that a reservation needs a verdict.
    pub guarded: bool,
}

impl Config {
    /// What the store says of this spike.
    #[must_use]
    pub fn of(spike: &Spike) -> Self {
        Self {
            spike_id: spike.id,
            version: spike.version,
            gate: spike.gate(),
            starts_at: spike.settings.starts_at,
            ends_at: spike.settings.ends_at,
            limit_per_user: spike.settings.limit_per_user,
            guarded: !spike.settings.rules.is_empty(),
        }
    }
}

/// What came of configuring a sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Configured {
    /// Redis has this version now.
    Applied,
    /// Redis had this version, or a newer one.
    Current,
    /// Redis does not have the sale.
    NotLoaded,
}

/// A live order's claim on units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The order.
    pub order_id: OrderId,
    /// Its owner.
    pub user_id: UserId,
    /// All units that it holds.
    pub units: Units,
}

/// Which of a spike's units are whose, by the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Supply {
    /// Never loaded before: all units are on offer, and there is nothing to read.
    Untouched,
    /// Read from the store. A unit that is in none of these is left to the audit.
    Known {
        /// Units that nobody holds.
        free: Units,
        /// Live orders.
        claims: Vec<Claim>,
        /// Units that the house took back.
        retired: Units,
    },
}

/// All that makes a sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// Its configuration.
    pub config: Config,
    /// The highest unit number.
    pub top: Unit,
    /// How often the spike was loaded, this time included; for logs.
    pub epoch: u64,
    /// Its units.
    pub supply: Supply,
}

/// Who has this is a spike's one loader, until it lapses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadingLock {
    spike_id: SpikeId,
    token: u64,
}

/// What came of loading a sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loaded {
    /// The sale was absent and is there now.
    Filled,
    /// The sale was there; nothing was changed.
    Present,
    /// The loader's lock had lapsed: what it read of the store may be old. Nothing was changed.
    Late,
}

/// A sale as Redis has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sale {
    /// The version of its configuration.
    pub version: u64,
    /// Open, paused or closed.
    pub gate: Gate,
    /// The highest unit number.
    pub top: Unit,
    /// The highest unit number that was handed out.
    pub next: Unit,
    /// How many units one user may buy.
    pub limit_per_user: u32,
    /// When it opens.
    pub starts_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
    /// Which load made it.
    pub epoch: u64,
    /// Whether a reservation needs a verdict.
    pub guarded: bool,
    /// How many units are on offer.
    pub left: u32,
    /// How many users have a reservation or a live order.
    pub buyers: u32,
    /// How many reservations are not yet known to be durable.
    pub pending: u32,
    /// How many units the house took of which the store may not know yet.
    pub retiring: u32,
    /// Whether somebody asked for an audit since the last one began, or there was none.
    pub audit_wanted: bool,
    /// When the last complete audit began.
    pub audited_at: Option<Timestamp>,
    /// Until when nobody can reserve, if a conflict asked for that; may have passed.
    pub healing_until: Option<Timestamp>,
}

impl Stock {
    /// Sets state, times, limit and guard if this version is newer than Redis', or closes the sale if it is the same.
    pub async fn configure(&self, config: &Config) -> Result<Configured, Error> {
        let call = Call::new(&CONFIGURE, config.spike_id, &[Key::Sale]);
        let answer = answer::text(self.quick(config.args(call)).await?)?;
        match answer.as_str() {
            "applied" => Ok(Configured::Applied),
            "current" => Ok(Configured::Current),
            "not-loaded" => Ok(Configured::NotLoaded),
            other => Err(unreadable("no answer of configure", other)),
        }
    }

    /// Makes the sale if Redis does not have it. `lock`, taken before the store was read, ends with it. Asks for an audit.
    pub async fn load(&self, load: &Load, lock: &LoadingLock) -> Result<Loaded, Error> {
        debug_assert_eq!(load.config.spike_id, lock.spike_id, "another spike's lock");
        let keys = [
            Key::Sale,
            Key::Buyers,
            Key::Held,
            Key::Free,
            Key::Loading,
            Key::Retiring,
        ];
        let call = load
            .config
            .args(Call::new(&LOAD, load.config.spike_id, &keys))
            .arg(lock.token)
            .arg(load.top)
            .arg(load.epoch);
        let call = match &load.supply {
            Supply::Untouched => call.arg("untouched"),
            Supply::Known {
                free,
                claims,
                retired,
            } => {
                let call = call.arg("known").arg(free.runs()).arg(retired.runs());
                claims.iter().fold(call, |call, claim| {
                    call.arg(format!(
                        "{}|{}|{}",
                        claim.order_id, claim.user_id, claim.units
                    ))
                })
            }
        };
        match answer::text(self.patient(call).await?)?.as_str() {
            "filled" => Ok(Loaded::Filled),
            "present" => Ok(Loaded::Present),
            "late" => Ok(Loaded::Late),
            other => Err(unreadable("no answer of load", other)),
        }
    }

    /// Makes the caller the spike's one loader for five seconds; `None` if there is another.
    pub async fn lock_loading(&self, spike_id: SpikeId) -> Result<Option<LoadingLock>, Error> {
        let token = (self.0.random)();
        let mut set = redis::cmd("SET");
        set.arg(Key::Loading.of(spike_id)).arg(token).arg("NX");
        set.arg("PX").arg(LOADING_MS);
        let answer = self.command(&set).await?;
        Ok((answer != Value::Nil).then_some(LoadingLock { spike_id, token }))
    }

    /// Gives the loader five seconds more; `false` if the lock is no longer its own.
    pub async fn keep_loading(&self, lock: &LoadingLock) -> Result<bool, Error> {
        let key = Key::Loading.of(lock.spike_id);
        let mut get = redis::cmd("GET");
        get.arg(&key);
        let is_ours = match self.command(&get).await? {
            Value::Nil => false,
            held => answer::text(held)? == lock.token.to_string(),
        };
        if is_ours {
            let mut expire = redis::cmd("PEXPIRE");
            expire.arg(&key).arg(LOADING_MS);
            self.command(&expire).await?;
        }
        Ok(is_ours)
    }

    /// Lets another loader try before the five seconds are over. If one has begun since, it will be too late.
    pub async fn unlock_loading(&self, lock: LoadingLock) -> Result<(), Error> {
        let mut del = redis::cmd("DEL");
        del.arg(Key::Loading.of(lock.spike_id));
        self.command(&del).await.map(drop)
    }

    /// The sale, if Redis has it.
    pub async fn sale(&self, spike_id: SpikeId) -> Result<Option<Sale>, Error> {
        let keys = [
            Key::Sale,
            Key::Free,
            Key::Buyers,
            Key::Pending,
            Key::Retiring,
        ];
        let answer = self.quick(Call::new(&READ, spike_id, &keys)).await?;
        match answer {
            Value::Nil => Ok(None),
            answer => sale(answer).map(Some),
        }
    }

    /// Forgets a sale that is closed and of which nothing is pending; whether it did (`true` if it was absent).
    pub async fn drop_sale(&self, spike_id: SpikeId) -> Result<bool, Error> {
        let keys = [
            Key::Sale,
            Key::Pending,
            Key::Free,
            Key::Buyers,
            Key::Held,
            Key::Retiring,
            Key::Loading,
            Key::Auditing,
        ];
        answer::flag(self.patient(Call::new(&DROP, spike_id, &keys)).await?)
    }

    /// Notes that every live sale is in Redis: a sale that is absent from now on does not exist or is over.
    pub async fn mark_complete(&self) -> Result<(), Error> {
        let mut set = redis::cmd("SET");
        set.arg(COMPLETE).arg("1");
        self.command(&set).await.map(drop)
    }

    /// Whether every live sale was loaded since Redis was last empty.
    pub async fn is_complete(&self) -> Result<bool, Error> {
        let mut exists = redis::cmd("EXISTS");
        exists.arg(COMPLETE);
        answer::flag(self.command(&exists).await?)
    }
}

impl Config {
    fn args(&self, call: Call) -> Call {
        call.arg(self.version)
            .arg(self.gate.as_str())
            .arg(self.starts_at.as_millis())
            .arg(self.ends_at.as_millis())
            .arg(self.limit_per_user)
            .arg(u8::from(self.guarded))
    }
}

fn sale(answer: Value) -> Result<Sale, Error> {
    let [fields, free, buyers, pending, retiring] = answer::values(answer)?;
    let [
        version,
        state,
        top,
        next,
        limit,
        starts,
        ends,
        epoch,
        guarded,
        healing,
        audit,
        audited,
    ] = answer::values(fields)?;
    let optional_time = |value| match value {
        Value::Nil => Ok(None),
        value => answer::time(value).map(Some),
    };
    let (top, next, free): (u32, u32, u32) = (
        answer::number(top)?,
        answer::number(next)?,
        answer::number(free)?,
    );
    let range = top
        .checked_sub(next)
        .ok_or_else(|| unreadable("next above top", &(next, top)))?;
    let (audit, audited_at) = (optional_time(audit)?, optional_time(audited)?);
    Ok(Sale {
        version: answer::number(version)?,
        gate: gate(&answer::text(state)?)?,
        top,
        next,
        limit_per_user: answer::number(limit)?,
        starts_at: answer::time(starts)?,
        ends_at: answer::time(ends)?,
        epoch: answer::number(epoch)?,
        guarded: answer::text(guarded)? != "0",
        left: range.saturating_add(free),
        buyers: answer::number(buyers)?,
        pending: answer::number(pending)?,
        retiring: answer::number(retiring)?,
        // An audit that was asked for in the very millisecond in which one began may have been missed by it.
        audit_wanted: audited_at.is_none() || audit >= audited_at,
        audited_at,
        healing_until: optional_time(healing)?,
    })
}

fn gate(text: &str) -> Result<Gate, Error> {
    [Gate::Open, Gate::Paused, Gate::Closed]
        .into_iter()
        .find(|gate| gate.as_str() == text)
        .ok_or_else(|| unreadable("no state of a sale", text))
}
