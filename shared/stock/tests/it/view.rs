//! Looking at units and buyers.

use std::collections::BTreeSet;

use domain::{UserId, Verdict};
use stock::{Error, UnitState};

use crate::kit::{Kit, known, units, user};

#[tokio::test]
async fn every_state_of_a_unit_is_seen() {
    let kit = Kit::new().await;
    let holder = kit.stranger([2]);
    kit.load(&kit.config(), 4, known([1], &[&holder], [3]))
        .await;
    kit.stock.offer(kit.spike_id, 5, &units([])).await.unwrap();
    let states = kit.stock.units(kit.spike_id, 1, 6).await.unwrap().unwrap();
    assert_eq!(states[0], UnitState::OnOffer);
    assert!(matches!(states[1], UnitState::Held { order_id, user_id }
        if order_id == holder.order_id && user_id == holder.user_id));
    assert_eq!(
        states[2..],
        [
            UnitState::House,
            UnitState::Missing,
            UnitState::OnOffer,
            UnitState::Missing
        ]
    );
}

#[tokio::test]
async fn a_look_at_units_is_bounded() {
    let kit = Kit::running(5_000).await;
    let states = kit.stock.units(kit.spike_id, 1, u32::MAX).await;
    assert_eq!(states.unwrap().unwrap().len(), 1_000);
    let states = kit.stock.units(kit.spike_id, 5_000, u32::MAX).await;
    let states = states.unwrap().unwrap();
    assert_eq!(
        (&states[0], &states[1]),
        (&UnitState::OnOffer, &UnitState::Missing)
    );
    let none = kit.stock.units(kit.spike_id, 7, 6).await.unwrap().unwrap();
    assert!(none.is_empty());
}

#[tokio::test]
async fn buyers_are_listed_whole_and_in_pages() {
    let kit = Kit::running(2_001).await;
    let nobody = kit.stock.hold(kit.spike_id, user()).await.unwrap();
    assert_eq!(nobody, None);
    let mut bought = BTreeSet::new();
    for _ in 0..2_000 {
        bought.insert(kit.buy(1).await.user_id);
    }
    let ids = kit.stock.buyer_ids(kit.spike_id).await.unwrap().unwrap();
    assert_eq!(ids.into_iter().collect::<BTreeSet<UserId>>(), bought);

    bought.insert(kit.buy(1).await.user_id);
    assert_eq!(kit.stock.buyer_ids(kit.spike_id).await.unwrap(), None);
    let (mut paged, mut cursor) = (BTreeSet::new(), None);
    loop {
        let page = kit.stock.buyers_page(kit.spike_id, cursor).await.unwrap();
        paged.extend(page.holds.iter().map(|(user_id, ..)| *user_id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(paged, bought);
}

#[tokio::test]
async fn a_verdict_is_remembered() {
    let kit = Kit::new().await;
    let (stock, spike_id, user_id) = (&kit.stock, kit.spike_id, user());
    assert_eq!(stock.verdict(spike_id, user_id).await.unwrap(), None);
    for verdict in [Verdict::Denied("no".into()), Verdict::Allowed] {
        let kept = stock.remember_verdict(spike_id, user_id, &verdict);
        kept.await.unwrap();
        assert_eq!(
            stock.verdict(spike_id, user_id).await.unwrap(),
            Some(verdict)
        );
    }
}

#[tokio::test]
async fn what_is_not_ours_is_unreadable_and_never_a_default() {
    let mut kit = Kit::running(3).await;
    let placed = kit.buy(1).await;
    let (holders, buyers, sale) = (kit.key("held"), kit.key("buyers"), kit.key("sale"));
    let user_id = placed.user_id.to_string();
    let unreadable = |error| matches!(error, Error::Unreadable(_));

    let _: u32 = kit.command(&["HSET", &holders, "1", "nobody|knows"]).await;
    let units = kit.stock.units(kit.spike_id, 1, 1).await;
    assert!(unreadable(units.unwrap_err()));
    let _: u32 = kit.command(&["HSET", &buyers, &user_id, "x|0"]).await;
    let mark = kit.stock.hold(kit.spike_id, placed.user_id).await;
    assert!(unreadable(mark.unwrap_err()));
    let page = kit.stock.buyers_page(kit.spike_id, None).await;
    assert!(unreadable(page.unwrap_err()));
    for (field, nonsense) in [
        ("state", "ajar"),
        ("top", "-1"),
        ("next", "9"),
        ("ends", "soon"),
    ] {
        let before: String = kit.command(&["HGET", &sale, field]).await;
        let _: u32 = kit.command(&["HSET", &sale, field, nonsense]).await;
        let read = kit.stock.sale(kit.spike_id).await;
        assert!(unreadable(read.unwrap_err()), "{field}");
        let _: u32 = kit.command(&["HSET", &sale, field, &before]).await;
    }
    let _: u32 = kit.command(&["DEL", &sale]).await;
    let _: u32 = kit.command(&["SADD", &sale, "of another type"]).await;
    assert!(unreadable(kit.stock.sale(kit.spike_id).await.unwrap_err()));
}
