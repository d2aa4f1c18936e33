//! Random operations on Redis and on the model, rollbacks included: both must show the same after each.

use std::collections::BTreeMap;

use domain::{OrderPlaced, Unit, Units, UserId};
use proptest::{
    prelude::*,
    test_runner::{Config as Proptest, TestRunner},
};
use stock::{Reassigned, Reserved, Seen, Truth};

use crate::{
    kit::{Copies, Kit, order, units, user},
    model::{Holder, Model},
};

const TOP: Unit = 12;

/// One step; numbers are taken modulo what there is to choose from.
#[derive(Debug, Clone)]
enum Step {
    Reserve {
        user: usize,
        quantity: u32,
    },
    Release {
        order: usize,
        mask: u16,
        keep: bool,
    },
    Ack {
        order: usize,
    },
    Reassign {
        order: usize,
        mask: u16,
    },
    Learn {
        unit: Unit,
        order: Option<usize>,
        seen: Option<usize>,
        as_shown: bool,
    },
    Offer {
        raise: Unit,
        units: Vec<Unit>,
    },
    Retire {
        most: u32,
    },
    Unretire {
        units: Vec<Unit>,
    },
    PutPending {
        order: usize,
    },
    Snapshot,
    RollBack,
}

fn step() -> impl Strategy<Value = Step> {
    let unit = 1..=TOP + 3;
    let some = proptest::collection::vec(1..=TOP + 3, 0..6);
    prop_oneof![
        8 => (0..8_usize, 1..5_u32).prop_map(|(user, quantity)| Step::Reserve { user, quantity }),
        5 => (any::<usize>(), any::<u16>(), any::<bool>())
            .prop_map(|(order, mask, keep)| Step::Release { order, mask, keep }),
        2 => any::<usize>().prop_map(|order| Step::Ack { order }),
        4 => (any::<usize>(), any::<u16>()).prop_map(|(order, mask)| Step::Reassign { order, mask }),
        4 => (unit, any::<Option<usize>>(), any::<Option<usize>>(), any::<bool>())
            .prop_map(|(unit, order, seen, as_shown)| Step::Learn { unit, order, seen, as_shown }),
        2 => (0..3_u32, some.clone()).prop_map(|(raise, units)| Step::Offer { raise, units }),
        1 => (0..4_u32).prop_map(|most| Step::Retire { most }),
        1 => some.prop_map(|units| Step::Unretire { units }),
        1 => any::<usize>().prop_map(|order| Step::PutPending { order }),
        1 => Just(Step::Snapshot),
        1 => Just(Step::RollBack),
    ]
}

struct World {
    kit: Kit,
    model: Model,
    users: Vec<UserId>,
    /// Every reservation that was ever won, with the units of its event.
    placed: Vec<OrderPlaced>,
    copy: (Copies, Model),
}

impl World {
    async fn new() -> Self {
        let mut kit = Kit::running(TOP).await;
        let model = Model {
            top: TOP,
            ..Model::default()
        };
        let copy = (kit.snapshot().await, model.clone());
        let users = (0..8).map(|_| user()).collect();
        Self {
            kit,
            model,
            users,
            placed: Vec::new(),
            copy,
        }
    }

    fn pick(&self, nth: usize) -> Option<OrderPlaced> {
        let count = self.placed.len().max(1);
        self.placed.get(nth % count).cloned()
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Reserve { user, quantity } => self.reserve(self.users[user], quantity).await,
            Step::Release { order, mask, keep } => self.release(order, mask, keep).await,
            Step::Ack { order } => {
                if let Some(placed) = self.pick(order) {
                    let was_there = self.model.pending.remove(&placed.member());
                    assert_eq!(self.kit.stock.ack(&placed).await.unwrap(), was_there);
                }
            }
            Step::Reassign { order, mask } => self.reassign(order, mask).await,
            Step::Learn {
                unit,
                order,
                seen,
                as_shown,
            } => {
                self.learn(unit, order, seen, as_shown).await;
            }
            Step::Offer { raise, units } => self.offer(raise, units.into_iter().collect()).await,
            Step::Retire { most } => self.retire(most).await,
            Step::Unretire { units } => {
                let units: Units = units.into_iter().collect();
                let given_back = self.kit.stock.unretire(self.kit.spike_id, &units).await;
                assert_eq!(given_back.unwrap(), self.model.give_back(&units, None));
            }
            Step::PutPending { order } => {
                if let Some(placed) = self.pick(order) {
                    let put = self.kit.stock.put_pending(&placed).await.unwrap();
                    assert_eq!(put, self.model.put_pending(&placed));
                }
            }
            Step::Snapshot => self.copy = (self.kit.snapshot().await, self.model.clone()),
            Step::RollBack => {
                self.kit.roll_back(&self.copy.0).await;
                self.model = self.copy.1.clone();
            }
        }
    }

    async fn reserve(&mut self, user_id: UserId, quantity: u32) {
        let order_id = order();
        let answer = self.kit.reserve(user_id, order_id, quantity).await;
        if let Some((standing, has)) = self.model.buyers.get(&user_id) {
            let spike_id = self.kit.spike_id;
            let member = OrderPlaced {
                order_id: *standing,
                spike_id,
                user_id,
                units: has.clone(),
            }
            .member();
            let pending = self.model.pending.contains(&member);
            let replay = Reserved::Replay {
                order_id: *standing,
                units: has.clone(),
                pending,
            };
            assert_eq!(answer, replay);
        } else if self.model.left() < quantity as usize {
            let left = u32::try_from(self.model.left()).unwrap();
            assert_eq!(answer, Reserved::SoldOut { left });
        } else if let Reserved::Won(units) = answer {
            assert_eq!(units.quantity(), quantity);
            let placed = OrderPlaced {
                order_id,
                spike_id: self.kit.spike_id,
                user_id,
                units,
            };
            self.model.reserve(&placed);
            self.placed.push(placed);
        } else {
            panic!("not won: {answer:?}");
        }
    }

    async fn release(&mut self, nth: usize, mask: u16, keep: bool) {
        let Some(placed) = self.pick(nth) else { return };
        let given: Units = subset(&placed.units, mask);
        let kept = if keep {
            placed.units.without(&given)
        } else {
            Units::none()
        };
        let expected = self.model.release(&placed, &given, &kept);
        assert_eq!(
            self.kit.release_some(&placed, &given, &kept).await,
            expected
        );
    }

    async fn reassign(&mut self, nth: usize, mask: u16) {
        let Some(placed) = self.pick(nth) else { return };
        let taken = subset(&placed.units, mask);
        let answer = self.kit.reassign(&placed, &taken).await;
        if let Some(assigned) = self.model.assigned(&placed) {
            assert_eq!(answer, Reassigned::Units(assigned.clone()));
        } else if !self.model.can_reassign(&placed, &taken) {
            assert_eq!(answer, Reassigned::SoldOut);
        } else if let Reassigned::Units(now_has) = answer {
            assert_eq!(now_has.len(), placed.units.len());
            assert!(placed.units.without(&taken).without(&now_has).is_empty());
            self.model.reassign(&placed, &taken, &now_has);
        } else {
            panic!("not reassigned: {answer:?}");
        }
    }

    async fn learn(&mut self, unit: Unit, nth: Option<usize>, seen: Option<usize>, as_shown: bool) {
        let owner = nth.and_then(|nth| self.pick(nth));
        let truth = match &owner {
            None => Truth::Retired,
            Some(owner) => Truth::Order {
                order_id: owner.order_id,
                user_id: owner.user_id,
                units: owner.units.clone(),
            },
        };
        let seen: Option<Holder> = if as_shown {
            self.model.held.get(&unit).copied()
        } else {
            seen.map(|nth| {
                self.pick(nth)
                    .map(|placed| (placed.order_id, placed.user_id))
            })
        };
        let wire =
            seen.map(|holder| holder.map_or(Seen::House, |(order_id, _)| Seen::Order(order_id)));
        let learned = self
            .kit
            .stock
            .learn(self.kit.spike_id, unit, &truth, wire, 0);
        assert_eq!(
            learned.await.unwrap(),
            self.model.learn(unit, owner.as_ref(), seen)
        );
    }

    async fn offer(&mut self, raise: Unit, units: Units) {
        let top = (self.model.top + raise).min(TOP + 3);
        let offered = self.kit.stock.offer(self.kit.spike_id, top, &units).await;
        assert_eq!(offered.unwrap(), self.model.offer(top, &units));
    }

    async fn retire(&mut self, most: u32) {
        let before = self.model.unfinished();
        let fresh = self
            .model
            .left()
            .min((most as usize).saturating_sub(before));
        let taken = self
            .kit
            .stock
            .retire(self.kit.spike_id, most)
            .await
            .unwrap();
        assert_eq!(taken.len(), before + fresh);
        self.model.retire(&taken);
    }

    /// What Redis shows, as a model.
    async fn shown(&mut self) -> Model {
        let kinds = ["sale", "free", "buyers", "held", "pending", "retiring"];
        let [sale, free, buyers, held, pending, retiring] = &kinds.map(|kind| self.kit.key(kind));
        let bounds: (Unit, Unit) = self.kit.command(&["HMGET", sale, "top", "next"]).await;
        let free: Vec<Unit> = self.kit.command(&["SMEMBERS", free]).await;
        let buyers: BTreeMap<String, String> = self.kit.command(&["HGETALL", buyers]).await;
        let held: BTreeMap<Unit, String> = self.kit.command(&["HGETALL", held]).await;
        let pending: Vec<String> = self.kit.command(&["ZRANGE", pending, "0", "-1"]).await;
        let retiring: Vec<Unit> = self.kit.command(&["SMEMBERS", retiring]).await;
        Model {
            top: bounds.0,
            next: bounds.1,
            free: free.into_iter().collect(),
            held: held
                .into_iter()
                .map(|(unit, text)| (unit, holder(&text)))
                .collect(),
            buyers: buyers
                .iter()
                .map(|(user, text)| (user.parse().unwrap(), hold(text)))
                .collect(),
            pending: pending.into_iter().collect(),
            retiring: retiring.into_iter().collect(),
        }
    }
}

fn subset(of: &Units, mask: u16) -> Units {
    let chosen = of
        .iter()
        .enumerate()
        .filter(|(nth, _)| mask & (1 << nth) != 0);
    units(chosen.map(|(_, unit)| unit))
}

fn holder(text: &str) -> Holder {
    let mut parts = text.split('|');
    let order_id = parts.next().unwrap();
    (order_id != "#retire").then(|| {
        (
            order_id.parse().unwrap(),
            parts.next().unwrap().parse().unwrap(),
        )
    })
}

fn hold(text: &str) -> (domain::OrderId, Units) {
    let (order_id, units) = text.split_once('|').unwrap();
    (order_id.parse().unwrap(), units.parse().unwrap())
}

#[test]
fn redis_and_the_model_agree_after_every_step() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut runner = TestRunner::new(Proptest {
        failure_persistence: None,
        ..Proptest::with_cases(96)
    });
    let steps = proptest::collection::vec(step(), 1..80);
    let outcome = runner.run(&steps, |steps| {
        runtime.block_on(async {
            let mut world = World::new().await;
            for step in steps {
                world.take(step.clone()).await;
                world.model.check();
                assert_eq!(world.shown().await, world.model, "after {step:?}");
            }
        });
        Ok(())
    });
    outcome.unwrap();
}
