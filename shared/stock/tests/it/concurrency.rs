//! Hundreds of buyers at once: no unit is ever two buyers', and none is lost.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use domain::{OrderId, Unit};
use stock::{Reserved, Supply};

use crate::kit::{Kit, order, user};

const TOP: Unit = 60;
const BUYERS: usize = 400;

/// Who has which unit, as the buyers see it.
type Owners = Arc<Mutex<HashMap<Unit, OrderId>>>;

/// Tries until it has bought once or nothing is left; gives every other purchase back and tries again.
async fn buyer(kit: Arc<Kit>, owners: Owners, nth: usize) {
    let quantity = u32::try_from(nth % 3).unwrap() + 1;
    for round in 0..4 {
        let (user_id, order_id) = (user(), order());
        let Reserved::Won(won) = kit.reserve(user_id, order_id, quantity).await else {
            tokio::task::yield_now().await;
            continue;
        };
        assert_eq!(won.quantity(), quantity);
        for unit in won.iter() {
            assert!((1..=TOP).contains(&unit));
            let before = owners.lock().unwrap().insert(unit, order_id);
            assert_eq!(before, None, "unit {unit} was handed out twice");
        }
        // A second purchase of the same user is the first one.
        let again = kit.reserve(user_id, order(), 1).await;
        assert!(matches!(again, Reserved::Replay { order_id: id, .. } if id == order_id));
        if (nth + round).is_multiple_of(2) {
            return;
        }
        for unit in won.iter() {
            assert_eq!(owners.lock().unwrap().remove(&unit), Some(order_id));
        }
        let placed = domain::OrderPlaced {
            order_id,
            spike_id: kit.spike_id,
            user_id,
            units: won,
        };
        assert_eq!(kit.release(&placed).await, quantity);
        assert_eq!(kit.release(&placed).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn units_are_handed_out_exactly_once() {
    let kit = Arc::new(Kit::new().await);
    kit.load(&kit.config(), TOP, Supply::Untouched).await;
    let owners: Owners = Arc::default();
    let buyers: Vec<_> = (0..BUYERS)
        .map(|nth| tokio::spawn(buyer(Arc::clone(&kit), Arc::clone(&owners), nth)))
        .collect();
    for buyer in buyers {
        buyer.await.unwrap();
    }
    let sold = owners.lock().unwrap().len();
    let sale = kit.sale().await;
    assert_eq!(sold + sale.left as usize, TOP as usize);
    let states = kit
        .stock
        .units(kit.spike_id, 1, TOP)
        .await
        .unwrap()
        .unwrap();
    for (unit, state) in (1..).zip(states) {
        let shown = match state {
            stock::UnitState::OnOffer => None,
            stock::UnitState::Held { order_id, .. } => Some(order_id),
            other => panic!("unit {unit}: {other:?}"),
        };
        assert_eq!(shown, owners.lock().unwrap().get(&unit).copied());
    }
    // The rest can be bought, to the last unit.
    for _ in 0..sale.left {
        kit.buy(1).await;
    }
    assert_eq!(kit.ask(1).await, Reserved::SoldOut { left: 0 });
}
