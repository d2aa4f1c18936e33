//! What the promises are tested with, and how listings are read.

use std::{fmt::Debug, time::Duration};

use domain::{
    Money, Order, OrderId, OrderPlaced, Spike, SpikeId, Timestamp, Unit, User, UserId,
    order::{Payment, Transition},
    spike::{Rule, Settings},
};

use crate::{Claim, Error, Holder, Page, Placement, Store, Transitioned};

/// For how long an order of [`placed`] can be paid.
pub const PAY_WITHIN: Duration = Duration::from_mins(15);

/// The time at which everything happens.
#[must_use]
pub const fn now() -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000)
}

/// Milliseconds after [`now`].
#[must_use]
pub fn later(ms: u64) -> Timestamp {
    now() + Duration::from_millis(ms)
}

/// A user's id that nobody has.
#[must_use]
pub fn user_id() -> UserId {
    UserId::mint(now(), rand::random())
}

/// An order's id that nobody has, minted some milliseconds after [`now`].
#[must_use]
pub fn order_id(ms: u64) -> OrderId {
    OrderId::mint(later(ms), rand::random())
}

/// An account with everything set and a name that nobody has.
#[must_use]
pub fn user() -> User {
    let id = user_id();
    let attributes = serde_json::json!({ "age": 31, "score": 0.1, "big": 9_007_199_254_740_993_u64, "täg": ["a", null] });
    User {
        id,
        username: format!("u-{id}").parse().unwrap(),
        password_hash: Some("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA".into()),
        credentials_version: 5,
        display_name: Some("Ada \u{1f45f}".into()),
        attributes: attributes.as_object().unwrap().clone(),
        roles: vec![domain::Role::Admin],
        version: 1,
        created_at: now(),
    }
}

/// A spike of so many units that nobody knows, ending an hour after [`now`].
#[must_use]
pub fn spike(stock: u32) -> Spike {
    let settings = Settings {
        name: "Shoes".into(),
        description: "a \"pair\"\nof them".into(),
        stock,
        limit_per_user: 10,
        price: Money {
            amount_minor: 4900,
            currency: "EUR".parse().unwrap(),
        },
        starts_at: now(),
        ends_at: now() + Duration::from_hours(1),
        pay_within_secs: 900,
        rules: vec![Rule {
            name: "adults".into(),
            allow_if: "user.attributes.age >= 18".into(),
            reason: "No.".into(),
        }],
        expected_buyers: Some(25_000),
    };
    Spike::new(SpikeId::mint(now(), rand::random()), settings, now())
}

/// A new order of a new user for these units, placed at [`now`].
#[must_use]
pub fn placed(spike: &Spike, units: &[Unit]) -> Order {
    placed_by(user_id(), spike, units)
}

/// A new order of this user for these units, placed at [`now`].
#[must_use]
pub fn placed_by(user_id: UserId, spike: &Spike, units: &[Unit]) -> Order {
    let event = event(user_id, spike, units);
    Order::placed(&event, spike.settings.price, now(), PAY_WITHIN)
}

/// A reservation that becomes an order.
#[must_use]
pub fn event(user_id: UserId, spike: &Spike, units: &[Unit]) -> OrderPlaced {
    OrderPlaced {
        order_id: order_id(0),
        spike_id: spike.id,
        user_id,
        units: units.iter().copied().collect(),
    }
}

/// A payment of the order.
#[must_use]
pub fn payment(order: &Order) -> Payment {
    Payment {
        payment_id: format!("pay-{}", order.id),
        amount: order.total,
        paid_at: later(5),
    }
}

/// Places one order alone.
pub async fn place(store: &dyn Store, order: &Order) -> Placement {
    let mut answers = store.place(std::slice::from_ref(order)).await;
    assert_eq!(answers.len(), 1);
    answers.remove(0).unwrap()
}

/// Places an order that nothing speaks against.
pub async fn must_place(store: &dyn Store, order: &Order) {
    assert_eq!(place(store, order).await, Placement::Written);
}

/// Ends an order that is placed; the order as it is then.
pub async fn must_end(store: &dyn Store, order: &Order, transition: Transition) -> Order {
    match store.end(order.id, transition, later(10)).await.unwrap() {
        Transitioned::Done(ended) => *ended,
        other => panic!("not ended: {other:?}"),
    }
}

/// What the order holds, as the store shows it.
#[must_use]
pub fn held_by(order: &Order) -> Vec<Claim> {
    let holder = Holder::Order {
        order_id: order.id,
        user_id: order.user_id,
    };
    order
        .units
        .iter()
        .map(|unit| Claim { unit, holder })
        .collect()
}

/// All claims on the spike's units.
pub async fn claims(store: &dyn Store, spike: &Spike) -> Vec<Claim> {
    store.claims(spike.id, 1, spike.top).await.unwrap()
}

/// Reads until the reading has caught up with what was written; the last reading, if it never does.
pub async fn eventually<T: Debug>(
    read: impl AsyncFn() -> T,
    has_caught_up: impl Fn(&T) -> bool,
) -> T {
    for _ in 0..100 {
        let seen = read().await;
        if has_caught_up(&seen) {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let seen = read().await;
    assert!(
        has_caught_up(&seen),
        "the listing never caught up: {seen:?}"
    );
    seen
}

/// All entries of a listing, page by page.
pub async fn all_pages<T>(
    limit: u32,
    page: impl AsyncFn(Option<String>, u32) -> Result<Page<T>, Error>,
) -> Vec<T> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let part = page(cursor, limit).await.unwrap();
        let size = u32::try_from(part.items.len()).unwrap();
        assert!(
            size <= limit,
            "a page of {size} where {limit} were asked for"
        );
        assert!(
            size == limit || part.next.is_none(),
            "a page is cut short although there are more"
        );
        all.extend(part.items);
        cursor = part.next;
        let Some(next) = &cursor else { return all };
        let is_safe = |c: char| c.is_ascii_alphanumeric() || "._~-".contains(c);
        assert!(
            next.chars().all(is_safe),
            "a cursor that a URL would escape: {next}"
        );
    }
}
