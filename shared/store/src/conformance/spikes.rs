//! Promises of [`crate::Spikes`].

use std::time::Duration;

use domain::{Spike, SpikeId};
use futures::future::join_all;

use super::samples::{all_pages, claims, eventually, held_by, must_place, now, placed, spike};
use crate::{Claim, Holder, Mark, Retirement, Store};

async fn add(store: &dyn Store, spike: Spike) -> Spike {
    assert!(store.add_spike(&spike).await.unwrap());
    spike
}

async fn read(store: &dyn Store, id: SpikeId) -> Spike {
    store.spike(id).await.unwrap().unwrap()
}

fn lowered(was: &Spike, stock: u32) -> Spike {
    let mut now = Spike {
        version: was.version + 1,
        ..was.clone()
    };
    now.settings.stock = stock;
    now
}

/// Everything of a spike survives; its id is taken from then on.
pub async fn a_spike_is_read_back_as_it_was_added(store: &dyn Store) {
    let spike = add(
        store,
        Spike {
            paused: true,
            top: 9,
            retired: 2,
            epoch: 3,
            closed: true,
            ..spike(5)
        },
    )
    .await;
    assert_eq!(read(store, spike.id).await, spike);
    assert!(
        !store
            .add_spike(&Spike {
                version: 7,
                ..spike.clone()
            })
            .await
            .unwrap()
    );
    assert_eq!(read(store, spike.id).await, spike);
    assert_eq!(
        store.spike(super::samples::spike(1).id).await.unwrap(),
        None
    );
}

/// A write needs the version, the top and the retired units that its maker saw, and leaves the sweeper's marks alone.
pub async fn an_admin_writes_only_over_what_they_have_seen(store: &dyn Store) {
    let was = add(store, spike(5)).await;
    let mut now = Spike {
        version: 2,
        paused: true,
        top: 8,
        epoch: 99,
        closed: true,
        shelved: true,
        ..was.clone()
    };
    now.settings.stock = 8;
    for stale in [
        Spike {
            version: 2,
            ..was.clone()
        },
        Spike {
            top: 6,
            ..was.clone()
        },
        Spike {
            retired: 1,
            ..was.clone()
        },
        spike(5),
    ] {
        assert!(!store.replace_spike(&stale, &now).await.unwrap());
    }
    assert_eq!(store.next_epoch(was.id).await.unwrap(), Some(1));
    assert!(store.replace_spike(&was, &now).await.unwrap());
    assert_eq!(
        read(store, was.id).await,
        Spike {
            epoch: 1,
            closed: false,
            shelved: false,
            ..now.clone()
        }
    );
    assert!(!store.replace_spike(&was, &now).await.unwrap());

    let seen = read(store, was.id).await;
    let rivals: Vec<Spike> = (10..30)
        .map(|top| Spike {
            version: 3,
            top,
            ..seen.clone()
        })
        .collect();
    let answers = join_all(rivals.iter().map(|rival| store.replace_spike(&seen, rival))).await;
    assert_eq!(
        answers
            .into_iter()
            .filter(|answer| *answer.as_ref().unwrap())
            .count(),
        1
    );
}

/// A pause needs nobody to stop retiring units, and undoes no retirement.
pub async fn a_write_that_leaves_the_top_alone_is_not_starved(store: &dyn Store) {
    let was = add(store, spike(5)).await;
    let lowered = lowered(&was, 3);
    assert!(store.replace_spike(&was, &lowered).await.unwrap());
    let seen = read(store, was.id).await;
    for unit in [1, 2] {
        assert_eq!(
            store.retire_unit(was.id, unit).await.unwrap(),
            Retirement::Retired
        );
    }
    let paused = Spike {
        version: 3,
        paused: true,
        ..seen.clone()
    };
    assert!(store.replace_spike(&seen, &paused).await.unwrap());
    let now = read(store, was.id).await;
    assert_eq!(
        now,
        Spike {
            retired: 2,
            ..paused
        }
    );
    assert_eq!(
        store.retire_unit(was.id, 3).await.unwrap(),
        Retirement::TargetMet
    );
    let mut raised = Spike {
        version: 4,
        top: 6,
        ..now.clone()
    };
    raised.settings.stock = 6;
    let stale = Spike { retired: 1, ..now };
    assert!(!store.replace_spike(&stale, &raised).await.unwrap());
}

/// Whoever wants units back that a lowering has taken meanwhile has to look again: `top` must grow for them.
pub async fn a_raise_does_not_count_on_units_that_were_just_retired(store: &dyn Store) {
    let was = add(store, spike(5)).await;
    assert!(store.replace_spike(&was, &lowered(&was, 4)).await.unwrap());
    let seen = read(store, was.id).await;
    assert_eq!(
        store.retire_unit(was.id, 1).await.unwrap(),
        Retirement::Retired
    );
    let mut raised = Spike {
        version: 3,
        ..seen.clone()
    };
    raised.settings.stock = 5;
    assert!(!store.replace_spike(&seen, &raised).await.unwrap());
    let now = read(store, was.id).await;
    assert_eq!((now.version, now.settings.stock, now.retired), (2, 4, 1));
    raised.settings.stock = 4;
    assert!(store.replace_spike(&seen, &raised).await.unwrap());
}

/// Nobody closes a sale that was changed meanwhile, shelves one that was loaded meanwhile, or changes a closed one.
pub async fn only_what_was_seen_is_marked(store: &dyn Store) {
    let was = add(store, spike(5)).await;
    let prolonged = Spike {
        version: 2,
        ..was.clone()
    };
    assert!(store.replace_spike(&was, &prolonged).await.unwrap());
    assert!(!store.mark_spike(&was, Mark::Closed).await.unwrap());
    assert_eq!(read(store, was.id).await, prolonged);
    for _ in 0..2 {
        assert!(store.mark_spike(&prolonged, Mark::Closed).await.unwrap());
    }
    let late = Spike {
        version: 3,
        ..prolonged.clone()
    };
    assert!(!store.replace_spike(&prolonged, &late).await.unwrap());

    let closed = read(store, was.id).await;
    assert_eq!(store.next_epoch(was.id).await.unwrap(), Some(1));
    assert!(!store.mark_spike(&closed, Mark::Shelved).await.unwrap());
    let loaded = read(store, was.id).await;
    assert_eq!((loaded.closed, loaded.shelved), (true, false));
    assert!(store.mark_spike(&loaded, Mark::Shelved).await.unwrap());
}

/// What is loaded is live, so that it is swept and shelved again.
pub async fn a_load_brings_a_shelved_spike_back(store: &dyn Store) {
    let spike = add(store, spike(5)).await;
    assert!(store.mark_spike(&spike, Mark::Closed).await.unwrap());
    assert!(store.mark_spike(&spike, Mark::Shelved).await.unwrap());
    assert!(read(store, spike.id).await.shelved);
    assert_eq!(store.next_epoch(spike.id).await.unwrap(), Some(1));
    let live = read(store, spike.id).await;
    assert_eq!((live.closed, live.shelved), (true, false));
    let listed = async || store.live_spikes().await.unwrap();
    eventually(listed, |live| live.iter().any(|one| one.id == spike.id)).await;
}

/// A spike that was changed meanwhile stays.
pub async fn a_spike_is_deleted_only_as_it_was_seen(store: &dyn Store) {
    let spike = add(store, spike(5)).await;
    assert!(!store.delete_spike(spike.id, 2).await.unwrap());
    assert!(store.delete_spike(spike.id, 1).await.unwrap());
    assert!(!store.delete_spike(spike.id, 1).await.unwrap());
    assert_eq!(store.spike(spike.id).await.unwrap(), None);
}

/// Loads at once get different epochs; a spike that is not there has none.
pub async fn epochs_count_up(store: &dyn Store) {
    let spike = add(store, spike(5)).await;
    let epochs = join_all((0..20).map(|_| store.next_epoch(spike.id))).await;
    let mut epochs: Vec<u64> = epochs
        .into_iter()
        .map(|epoch| epoch.unwrap().unwrap())
        .collect();
    epochs.sort_unstable();
    assert_eq!(epochs, (1..=20).collect::<Vec<_>>());
    let unknown = super::samples::spike(1);
    assert_eq!(store.next_epoch(unknown.id).await.unwrap(), None);
    assert!(!store.mark_spike(&unknown, Mark::Closed).await.unwrap());
    assert_eq!(store.spike(unknown.id).await.unwrap(), None);
}

/// Live spikes come by their end, then shelved ones by theirs; a mark does not raise the version.
pub async fn spikes_are_listed_live_ones_first(store: &dyn Store) {
    let mut expected = Vec::new();
    for hours in (1..=14).rev() {
        let mut spike = spike(5);
        spike.settings.ends_at = now() + Duration::from_hours(hours);
        expected.push(add(store, spike).await);
    }
    for spike in &mut expected {
        if spike.settings.ends_at <= now() + Duration::from_hours(6) {
            (spike.closed, spike.shelved) = (true, true);
            store.mark_spike(spike, Mark::Closed).await.unwrap();
            store.mark_spike(spike, Mark::Shelved).await.unwrap();
        }
    }
    expected.sort_by_key(|spike| (spike.shelved, spike.settings.ends_at));
    let ours = |all: Vec<Spike>| -> Vec<Spike> {
        all.into_iter()
            .filter(|spike| expected.iter().any(|ours| ours.id == spike.id))
            .collect()
    };
    let live = async || ours(store.live_spikes().await.unwrap());
    eventually(live, |live| live == &expected[..8]).await;
    for limit in [1, 3, 8, 1000] {
        let pages =
            async |cursor: Option<String>, limit| store.spikes_page(cursor.as_deref(), limit).await;
        eventually(
            async || ours(all_pages(limit, pages).await),
            |all| *all == expected,
        )
        .await;
    }
}

/// The house takes free units only, and no more than the admin wants.
pub async fn a_unit_is_retired_only_while_the_target_is_not_met(store: &dyn Store) {
    let was = add(store, spike(5)).await;
    assert_eq!(
        store.retire_unit(was.id, 1).await.unwrap(),
        Retirement::TargetMet
    );
    assert!(store.replace_spike(&was, &lowered(&was, 3)).await.unwrap());
    let order = placed(&was, &[2]);
    must_place(store, &order).await;

    assert_eq!(
        store.retire_unit(was.id, 2).await.unwrap(),
        Retirement::Taken(held_by(&order)[0].holder)
    );
    assert_eq!(
        store.retire_unit(was.id, 5).await.unwrap(),
        Retirement::Retired
    );
    assert_eq!(
        store.retire_unit(was.id, 5).await.unwrap(),
        Retirement::Taken(Holder::House)
    );
    assert_eq!(
        store.retire_unit(was.id, 4).await.unwrap(),
        Retirement::Retired
    );
    assert_eq!(
        store.retire_unit(was.id, 3).await.unwrap(),
        Retirement::TargetMet
    );
    assert_eq!(
        read(store, was.id).await,
        Spike {
            retired: 2,
            ..lowered(&was, 3)
        }
    );
    let house = [4, 5].map(|unit| Claim {
        unit,
        holder: Holder::House,
    });
    assert_eq!(
        claims(store, &was).await,
        [held_by(&order), house.to_vec()].concat()
    );
    assert_eq!(
        store.retire_unit(spike(1).id, 1).await.unwrap(),
        Retirement::TargetMet
    );
}

/// However many retire at once, orders among them: live units never fall below the target, and the count is right.
pub async fn fault_21_racing_retirements_stop_at_the_target(store: &dyn Store) {
    let was = add(store, spike(40)).await;
    assert!(store.replace_spike(&was, &lowered(&was, 25)).await.unwrap());
    let orders: Vec<_> = (1..=10).map(|unit| placed(&was, &[unit * 3])).collect();
    let placing = async {
        join_all(
            orders
                .iter()
                .map(|order| store.place(std::slice::from_ref(order))),
        )
        .await
    };
    let retiring =
        async { join_all((0..120).map(|n| store.retire_unit(was.id, 1 + n % 40))).await };
    let (placed, retired) = futures::join!(placing, retiring);

    let retired = retired
        .into_iter()
        .filter(|answer| *answer.as_ref().unwrap() == Retirement::Retired)
        .count();
    assert_eq!(retired, 15);
    let seen = read(store, was.id).await;
    assert_eq!((seen.retired, seen.live_units()), (15, 25));
    let claims = claims(store, &was).await;
    assert_eq!(
        claims
            .iter()
            .filter(|claim| claim.holder == Holder::House)
            .count(),
        15
    );
    for (order, answer) in orders.iter().zip(placed) {
        let is_placed = answer[0].as_ref().unwrap() == &crate::Placement::Written;
        assert_eq!(
            held_by(order).iter().all(|claim| claims.contains(claim)),
            is_placed
        );
    }
}
