use std::time::Duration;

use domain::{Rule, Units, Verdict, order::Transition};
use store::{Holder, Transitioned};

use super::*;
use crate::testing::{Sale, user};

mod money;

#[tokio::test]
async fn a_lost_sale_is_loaded_from_the_stores_claims() {
    let sale = Sale::of(5).await;
    let placed = sale.reserve(user(), 2).await;
    sale.place(&placed).await;
    sale.redis.flush().await;
    let outcome = load(
        sale.store.as_ref(),
        &sale.stock,
        sale.spike.id,
        Loadable::Live,
    )
    .await;
    assert_eq!(outcome.unwrap(), LoadOutcome::Loaded);
    assert_eq!(sale.check_at_rest().await.len(), 3);
    assert_eq!(sale.stored().await.epoch, 2);
}

#[tokio::test]
async fn fault_13_a_second_loader_is_a_no_op() {
    let sale = Sale::of(5).await;
    sale.reserve(user(), 1).await;
    let again = load(
        sale.store.as_ref(),
        &sale.stock,
        sale.spike.id,
        Loadable::Live,
    )
    .await;
    assert_eq!(again.unwrap(), LoadOutcome::Present);
    let shown = sale.stock.sale(sale.spike.id).await.unwrap().unwrap();
    assert_eq!((shown.left, shown.pending), (4, 1));
}

#[tokio::test]
async fn who_read_the_spike_before_it_was_deleted_does_not_bring_it_back() {
    let sale = Sale::of(5).await;
    sale.redis.flush().await;
    // A loader has read the store and stalls.
    let lock = sale
        .stock
        .lock_loading(sale.spike.id)
        .await
        .unwrap()
        .unwrap();
    let spike = sale.stored().await;
    assert!(
        sale.store
            .delete_spike(spike.id, spike.version)
            .await
            .unwrap()
    );
    assert!(sale.stock.drop_sale(spike.id).await.unwrap());
    let late = stock::Load {
        config: stock::Config::of(&spike),
        top: spike.top,
        epoch: 2,
        supply: stock::Supply::Untouched,
    };
    let loaded = sale.stock.load(&late, &lock).await.unwrap();
    assert_eq!(loaded, stock::Loaded::Late);
    assert_eq!(sale.stock.sale(spike.id).await.unwrap(), None);
}

#[tokio::test]
async fn one_loader_works_at_a_time() {
    let sale = Sale::of(5).await;
    sale.redis.flush().await;
    let lock = sale.stock.lock_loading(sale.spike.id).await;
    assert!(lock.unwrap().is_some());
    let other = load(
        sale.store.as_ref(),
        &sale.stock,
        sale.spike.id,
        Loadable::Live,
    )
    .await;
    assert_eq!(other.unwrap(), LoadOutcome::Busy);
}

#[tokio::test]
async fn an_ended_spike_is_loaded_for_the_writer_only() {
    let sale =
        Sale::with(|settings| settings.ends_at = settings.starts_at + Duration::from_secs(1)).await;
    sale.redis.flush().await;
    let store = sale.store.as_ref();
    let live = load(store, &sale.stock, sale.spike.id, Loadable::Live).await;
    assert_eq!(live.unwrap(), LoadOutcome::Ended);
    let ended = load(store, &sale.stock, sale.spike.id, Loadable::Ended).await;
    assert_eq!(ended.unwrap(), LoadOutcome::Loaded);
    assert_eq!(sale.ask(user(), 1).await.1, stock::Reserved::Ended);
}

#[tokio::test]
async fn a_shelved_sale_that_the_writer_loads_is_live_again() {
    let sale =
        Sale::with(|settings| settings.ends_at = settings.starts_at + Duration::from_secs(1)).await;
    let store = sale.store.as_ref();
    let seen = sale.stored().await;
    for mark in [store::Mark::Closed, store::Mark::Shelved] {
        assert!(store.mark_spike(&seen, mark).await.unwrap());
    }
    sale.redis.flush().await;
    let ended = load(store, &sale.stock, sale.spike.id, Loadable::Ended).await;
    assert_eq!(ended.unwrap(), LoadOutcome::Loaded);
    assert!(!sale.stored().await.shelved, "it is swept again");
}

#[tokio::test]
async fn an_unknown_spike_is_not_loaded() {
    let sale = Sale::of(1).await;
    let id = domain::SpikeId::mint(sale.stock.now(), rand::random());
    let outcome = load(sale.store.as_ref(), &sale.stock, id, Loadable::Live).await;
    assert_eq!(outcome.unwrap(), LoadOutcome::Unknown);
}

#[tokio::test]
async fn fault_19_an_order_cancelled_twice_gives_its_units_back_once() {
    let sale = Sale::of(3).await;
    let placed = sale.reserve(user(), 2).await;
    sale.place(&placed).await;
    let cancel = || {
        end_order(
            sale.store.as_ref(),
            &sale.stock,
            &*sale.payments,
            placed.order_id,
            Transition::Cancel,
            sale.stock.now(),
        )
    };
    assert!(matches!(cancel().await.unwrap(), Transitioned::Done(_)));
    assert!(matches!(
        cancel().await.unwrap(),
        Transitioned::NotPlaced(_)
    ));
    assert!(sale.order(placed.order_id).await.released);
    assert_eq!(sale.check_at_rest().await, (1..=3).collect());
}

#[tokio::test]
async fn a_release_that_redis_missed_is_finished_by_a_repetition() {
    let sale = Sale::of(3).await;
    let placed = sale.reserve(user(), 1).await;
    sale.place(&placed).await;
    sale.store
        .end(placed.order_id, Transition::Cancel, sale.stock.now())
        .await
        .unwrap();
    assert_eq!(
        sale.stock.sale(sale.spike.id).await.unwrap().unwrap().left,
        2
    );
    let now = sale.stock.now();
    end_order(
        sale.store.as_ref(),
        &sale.stock,
        &*sale.payments,
        placed.order_id,
        Transition::Cancel,
        now,
    )
    .await
    .unwrap();
    assert_eq!(sale.check_at_rest().await.len(), 3);
}

#[tokio::test]
async fn only_as_many_units_are_retired_as_the_admin_wants() {
    let sale = Sale::of(6).await;
    let placed = sale.reserve(user(), 2).await;
    sale.place(&placed).await;
    sale.stock.ack(&placed).await.unwrap();
    let mut lower = sale.stored().await;
    lower.version += 1;
    lower.settings.stock = 3;
    assert!(
        sale.store
            .replace_spike(&sale.stored().await, &lower)
            .await
            .unwrap()
    );
    let stored = sale.stored().await;
    let (mut one, mut two) = (0, 0);
    let (first, second) = tokio::join!(
        retire_to_target(sale.store.as_ref(), &sale.stock, &stored, &mut one),
        retire_to_target(sale.store.as_ref(), &sale.stock, &stored, &mut two),
    );
    first.unwrap();
    second.unwrap();
    assert_eq!(one + two, 3);
    assert_eq!(sale.stored().await.live_units(), 3);
    assert_eq!(sale.check_at_rest().await.len(), 1);
}

#[tokio::test]
async fn fault_21_a_lowering_that_broke_off_is_finished_before_another_unit_is_taken() {
    let sale = Sale::of(10).await;
    let was = sale.stored().await;
    let mut lower = was.clone();
    (lower.version, lower.settings.stock) = (2, 7);
    assert!(sale.store.replace_spike(&was, &lower).await.unwrap());
    // The store goes away while three units are being retired.
    let (away, engine) = store::testing::store().await;
    drop(engine);
    let mut retired = 0;
    let broken = retire_to_target(away.as_ref(), &sale.stock, &lower, &mut retired).await;
    assert!(matches!(broken, Err(Error::Store(_))));
    let shown = sale.stock.sale(sale.spike.id).await.unwrap().unwrap();
    assert_eq!((retired, shown.left, shown.retiring), (0, 7, 3));

    let store = sale.store.as_ref();
    retire_to_target(store, &sale.stock, &lower, &mut retired)
        .await
        .unwrap();
    let shown = sale.stock.sale(sale.spike.id).await.unwrap().unwrap();
    assert_eq!((retired, shown.left, shown.retiring), (3, 7, 0));
    assert_eq!(sale.check_at_rest().await, (4..=10).collect());

    // The admin has thought better of it meanwhile: what was taken goes back.
    assert_eq!(
        sale.stock.retire(sale.spike.id, 2).await.unwrap().len(),
        2,
        "a lowering that broke off"
    );
    let stored = sale.stored().await;
    retire_to_target(store, &sale.stock, &stored, &mut retired)
        .await
        .unwrap();
    assert_eq!((retired, sale.check_at_rest().await.len()), (3, 7));
}

#[tokio::test]
async fn a_unit_that_is_another_s_is_learnt_instead_of_retired() {
    let sale = Sale::of(2).await;
    let lost = sale.lost(&[1]);
    sale.place(&lost).await;
    let taken = sale.stock.retire(sale.spike.id, 2).await.unwrap();
    assert_eq!(taken, (1..=2).collect::<Units>());
    let retire = async |unit| {
        let decided = retire_unit(sale.store.as_ref(), &sale.stock, sale.spike.id, unit).await;
        decided.unwrap()
    };
    let first = retire(1).await;
    assert!(
        matches!(first, Taken::Anothers { learned: true, .. }),
        "{first:?}"
    );
    assert_eq!(retire(2).await, Taken::GivenBack);
    sale.stock.settle(sale.spike.id, &taken).await.unwrap();
    assert_eq!(sale.check_at_rest().await, [2].into_iter().collect());
    let claims = sale.store.claims(sale.spike.id, 1, 2).await.unwrap();
    assert!(
        matches!(claims.as_slice(), [claim] if claim.unit == 1 && claim.holder != Holder::House)
    );
}

#[tokio::test]
async fn the_catalog_remembers_known_and_unknown_spikes_apart() {
    let sale = Sale::of(1).await;
    let catalog = Catalog::new(Arc::clone(&sale.store), sale.stock.clock());
    let unknown = domain::SpikeId::mint(sale.stock.now(), rand::random());
    assert_eq!(catalog.spike(unknown).await.unwrap(), None);
    assert!(catalog.is_unknown(unknown) && !catalog.is_unknown(sale.spike.id));
    let spike = catalog.spike(sale.spike.id).await.unwrap().unwrap();
    let mut paused = sale.stored().await;
    paused.paused = true;
    paused.version += 1;
    assert!(
        sale.store
            .replace_spike(&sale.stored().await, &paused)
            .await
            .unwrap()
    );
    assert_eq!(catalog.spike(spike.id).await.unwrap().unwrap().version, 1);
    assert_eq!(catalog.fresh(spike.id).await.unwrap().unwrap().version, 2);
}

#[tokio::test]
async fn nobody_is_admitted_by_default() {
    let adults = Rule {
        name: "adults".into(),
        allow_if: "user.attributes.age >= 18".into(),
        reason: "Only for adults.".into(),
    };
    let sale = Sale::with(|settings| settings.rules = vec![adults]).await;
    let admission = Admission::new(Arc::clone(&sale.store), sale.stock.clock());
    let verdict = admission.verdict(&sale.spike, user()).await.unwrap();
    assert_eq!(
        verdict,
        Verdict::Denied("This account no longer exists.".into())
    );
    let mut open = sale.spike.clone();
    open.settings.rules.clear();
    assert_eq!(
        admission.verdict(&open, user()).await.unwrap(),
        Verdict::Allowed
    );
    for (age, expected) in [
        (30, Verdict::Allowed),
        (12, Verdict::Denied("Only for adults.".into())),
    ] {
        let id = user();
        let attributes = serde_json::json!({ "age": age })
            .as_object()
            .unwrap()
            .clone();
        let account = domain::User {
            id,
            username: format!("user-{age}").parse().unwrap(),
            password_hash: None,
            credentials_version: 1,
            display_name: None,
            attributes,
            roles: Vec::new(),
            version: 1,
            created_at: sale.stock.now(),
        };
        sale.store.add_users(&[account]).await.unwrap();
        assert_eq!(admission.verdict(&sale.spike, id).await.unwrap(), expected);
    }
}
