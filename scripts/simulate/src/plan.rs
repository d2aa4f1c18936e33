//! What a schedule is about: the sale, its buyers, and which faults may happen. All of it follows from the seed.

use std::time::Duration;

use auth::testing::token_for;
use domain::{
    Currency, Money, Role, Rule, Spike, SpikeId, Timestamp, User, UserId, spike::Settings,
};
use rand::{RngExt, rngs::StdRng};
use serde_json::json;

use crate::{shape::Loss, steps::At, world::Part};

/// When every schedule begins.
pub const BEGINS_AT_MS: i64 = 1_800_000_000_000;
/// How many users there are at most; they are the same in all schedules, so that their tokens can be signed once.
pub const USERS: u8 = 6;

/// The shape of one schedule.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each fault happens or does not"
)]
pub struct Plan {
    /// The sales.
    pub spikes: Vec<Spike>,
    /// How many of the users buy.
    pub users: u8,
    /// How many steps are taken before everything is wound down.
    pub steps: u32,
    /// Redis may lose data. Then the broker keeps what it has: if both forget, an accepted order may be lost.
    pub redis_forgets: bool,
    /// The broker may lose what it holds.
    pub broker_forgets: bool,
    /// How Redis loses data, if it is always the same way.
    pub loss: Option<Loss>,
    /// Processes die.
    pub crashes: bool,
    /// Only processes of this part die.
    pub victim: Option<Part>,
    /// Of 100 deliveries how many are of something that was done before.
    pub copies_percent: u32,
    /// How many events are delivered at once, at most.
    pub deliveries: usize,
    /// Of 100 moments, in how many somebody pays, cancels or looks.
    pub impatience_percent: u32,
    /// Of 100 moments, in how many somebody sweeps.
    pub sweeps_percent: u32,
    /// Events come that nobody can write.
    pub poison: bool,
    /// At the end a day passes, and everything is delivered once more.
    pub a_day_later: bool,
    /// Of 1,000 steps how many are lost, before they happen or after.
    pub losses_per_mille: u32,
    /// Steps are lost only here.
    pub losses_at: Option<At>,
    /// Each clock is five minutes off, one way or the other; otherwise less.
    pub clocks_apart: bool,
    /// The store's listings lag, as `DynamoDB`'s indexes do.
    pub lags: bool,
    /// An admin changes the sale while it runs.
    pub admin: bool,
    /// Stock may be lowered: then an accepted order may be rejected.
    pub lowers: bool,
    /// The admin moves the start and the end, and changes the rules.
    pub rewrites: bool,
    /// The admin deletes.
    pub deletes: bool,
}

impl Plan {
    /// The plan of a seed.
    pub fn draw(random: &mut StdRng) -> Self {
        let forgets = random.random_range(0..4);
        let admin = random.random_ratio(1, 3);
        let guarded = random.random_ratio(1, 12);
        let count = if random.random_ratio(1, 6) { 2 } else { 1 };
        let spikes = (0..count)
            .map(|index| spike(index, guarded, random))
            .collect();
        let users = random.random_range(2..=USERS);
        let steps = random.random_range(80..=360);
        let redis_forgets = forgets == 1 || forgets == 2;
        // By what was drawn already. A spike that is deleted while Redis goes back in time is a known limit.
        let (rewrites, deletes) = (steps % 3 == 0, steps % 3 == 1 && !redis_forgets);
        Self {
            spikes,
            users,
            steps,
            redis_forgets,
            broker_forgets: forgets == 3,
            loss: None,
            crashes: random.random_ratio(1, 2),
            victim: None,
            copies_percent: 10,
            deliveries: 2,
            impatience_percent: 8,
            sweeps_percent: 8,
            poison: random.random_ratio(1, 10),
            a_day_later: random.random_ratio(1, 5),
            losses_per_mille: *[0, 20, 80].get(random.random_range(0..3)).unwrap_or(&0),
            losses_at: None,
            clocks_apart: false,
            lags: random.random_ratio(1, 4),
            admin,
            lowers: admin && random.random_ratio(1, 2),
            rewrites: admin && rewrites,
            deletes: admin && deletes,
        }
    }
}

fn spike(index: u8, guarded: bool, random: &mut StdRng) -> Spike {
    let begins_at = Timestamp::from_millis(BEGINS_AT_MS);
    let rules = guarded.then(members_only);
    let settings = Settings {
        name: "Shoes".to_owned(),
        description: String::new(),
        stock: random.random_range(1..=6),
        limit_per_user: random.random_range(1..=3),
        price: price(),
        starts_at: begins_at + Duration::from_millis(random.random_range(0..=2_000)),
        ends_at: begins_at + Duration::from_hours(if random.random_ratio(1, 5) { 1 } else { 400 }),
        pay_within_secs: if random.random_ratio(1, 2) {
            30
        } else {
            500_000
        },
        rules: rules.into_iter().collect(),
        expected_buyers: Some(10_000),
    };
    let id = SpikeId::mint(begins_at, [index + 1; 10]);
    Spike::new(id, settings, begins_at)
}

/// The rule that admits members.
#[must_use]
pub fn members_only() -> Rule {
    Rule {
        name: "members".to_owned(),
        allow_if: "user.attributes.member == true".to_owned(),
        reason: "Only for members.".to_owned(),
    }
}

/// A rule that admits everybody.
#[must_use]
pub fn everybody() -> Rule {
    Rule {
        name: "everybody".to_owned(),
        allow_if: "spike.name != \"\"".to_owned(),
        reason: "Nobody is told this.".to_owned(),
    }
}

#[expect(clippy::expect_used, reason = "a constant that the type accepts")]
fn price() -> Money {
    let currency: Currency = "EUR".parse().expect("a currency");
    Money {
        amount_minor: 100,
        currency,
    }
}

/// Those who come when everything is over: they are to get what is left.
pub fn latecomers() -> impl Iterator<Item = u8> {
    (10..24).filter(|number| is_member(*number))
}

/// Somebody who comes when everything is over, and is no member.
pub const OUTSIDER: u8 = 11;

/// A user by number. Every third one is no member.
#[must_use]
pub fn user_id(number: u8) -> UserId {
    UserId::mint(Timestamp::from_millis(BEGINS_AT_MS - 1), [number + 1; 10])
}

/// Whether the rule of guarded sales admits this user.
#[must_use]
pub fn is_member(number: u8) -> bool {
    number % 3 != 2
}

/// The user's account.
///
/// # Panics
/// Never: the name is one.
#[must_use]
#[expect(clippy::expect_used, reason = "a constant that the type accepts")]
pub fn user(number: u8) -> User {
    let attributes = json!({ "member": is_member(number) });
    User {
        id: user_id(number),
        username: format!("user-{number}").parse().expect("a name"),
        password_hash: None,
        credentials_version: 0,
        display_name: None,
        attributes: attributes.as_object().cloned().unwrap_or_default(),
        roles: Vec::new(),
        version: 1,
        created_at: Timestamp::from_millis(BEGINS_AT_MS),
    }
}

thread_local! {
    static TOKENS: std::cell::RefCell<std::collections::HashMap<(UserId, bool, i64), String>> = std::cell::RefCell::default();
}

/// An access token that holds at `now_ms`; signing is slow, so tokens are kept for all schedules of a thread.
#[must_use]
pub fn bearer(user_id: UserId, admin: bool, now_ms: i64) -> String {
    const EVERY_MS: i64 = 5 * 60 * 1000;
    let signed_at = now_ms - now_ms.rem_euclid(EVERY_MS);
    TOKENS.with_borrow_mut(|tokens| {
        if tokens.len() > 10_000 {
            tokens.clear();
        }
        let roles: &[Role] = if admin { &[Role::Admin] } else { &[] };
        let token = tokens
            .entry((user_id, admin, signed_at))
            .or_insert_with(|| token_for(user_id, roles, Timestamp::from_millis(signed_at)));
        format!("Bearer {token}")
    })
}
