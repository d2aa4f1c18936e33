//! What Redis should show: free units, holders, buyers and the outbox, as plain maps.

use std::collections::{BTreeMap, BTreeSet};

use domain::{OrderId, OrderPlaced, Unit, Units, UserId};

/// A holder: a reservation with its user, or the house.
pub(crate) type Holder = Option<(OrderId, UserId)>;

/// One sale.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Model {
    pub(crate) top: Unit,
    pub(crate) next: Unit,
    pub(crate) free: BTreeSet<Unit>,
    pub(crate) held: BTreeMap<Unit, Holder>,
    pub(crate) buyers: BTreeMap<UserId, (OrderId, Units)>,
    pub(crate) pending: BTreeSet<String>,
    pub(crate) retiring: BTreeSet<Unit>,
}

impl Model {
    pub(crate) fn left(&self) -> usize {
        (self.top - self.next) as usize + self.free.len()
    }

    pub(crate) fn is_on_offer(&self, unit: Unit) -> bool {
        self.free.contains(&unit) || (self.next < unit && unit <= self.top)
    }

    /// Takes in that `units` were handed out by whatever choice Redis made: the range first, then the set.
    fn hand_out(&mut self, fresh: &Units, holder: Holder) {
        let ranged = fresh.len().min((self.top - self.next) as usize);
        for _ in 0..ranged {
            self.next += 1;
            assert!(fresh.contains(self.next), "the range goes first: {fresh:?}");
        }
        for unit in fresh.iter() {
            let given_back = self.free.remove(&unit);
            assert!(
                given_back || unit <= self.next,
                "unit {unit} was not on offer"
            );
            assert_eq!(self.held.insert(unit, holder), None, "unit {unit} was held");
        }
    }

    pub(crate) fn reserve(&mut self, placed: &OrderPlaced) {
        self.hand_out(&placed.units, Some((placed.order_id, placed.user_id)));
        let hold = (placed.order_id, placed.units.clone());
        assert_eq!(self.buyers.insert(placed.user_id, hold), None);
        assert!(self.pending.insert(placed.member()));
    }

    pub(crate) fn release(&mut self, placed: &OrderPlaced, units: &Units, keep: &Units) -> u32 {
        let holder = Some((placed.order_id, placed.user_id));
        let offered = self.give_back(units, holder);
        let member = |units: &Units| {
            OrderPlaced {
                units: units.clone(),
                ..placed.clone()
            }
            .member()
        };
        self.pending.remove(&member(units));
        self.pending
            .remove(&member(&units.iter().chain(keep.iter()).collect()));
        match self.buyers.get_mut(&placed.user_id) {
            Some((order_id, has)) if *order_id == placed.order_id => {
                self.pending.remove(&member(has));
                if keep.is_empty() {
                    self.buyers.remove(&placed.user_id);
                } else {
                    *has = keep.clone();
                }
            }
            _ => {}
        }
        offered
    }

    pub(crate) fn give_back(&mut self, units: &Units, holder: Holder) -> u32 {
        let mut offered = 0;
        for unit in units.iter() {
            if self.held.get(&unit) == Some(&holder) {
                self.held.remove(&unit);
                assert!(self.free.insert(unit));
                offered += 1;
            }
        }
        offered
    }

    /// The units that a repeated reassignment is answered with.
    pub(crate) fn assigned(&self, placed: &OrderPlaced) -> Option<&Units> {
        let (order_id, units) = self.buyers.get(&placed.user_id)?;
        (*order_id == placed.order_id && *units != placed.units).then_some(units)
    }

    /// Whether there are units to replace `taken`, those that the reservation keeps apart.
    pub(crate) fn can_reassign(&self, placed: &OrderPlaced, taken: &Units) -> bool {
        let kept = placed.units.without(taken);
        let own = kept.iter().filter(|unit| self.is_on_offer(*unit)).count();
        self.left() - own >= taken.len()
    }

    pub(crate) fn reassign(&mut self, placed: &OrderPlaced, taken: &Units, now_has: &Units) {
        let holder = Some((placed.order_id, placed.user_id));
        for unit in taken.iter() {
            if self.held.get(&unit) == Some(&holder) {
                self.held.remove(&unit);
            }
        }
        let kept = placed.units.without(taken);
        for unit in kept.iter() {
            self.take_off(unit);
            self.held.entry(unit).or_insert(holder);
        }
        self.hand_out(&now_has.without(&kept), holder);
        self.buyers
            .insert(placed.user_id, (placed.order_id, now_has.clone()));
        self.pending.remove(&placed.member());
        let moved = OrderPlaced {
            units: now_has.clone(),
            ..placed.clone()
        };
        self.pending.insert(moved.member());
    }

    /// `owner` is the order with all its units, or the house.
    pub(crate) fn learn(
        &mut self,
        unit: Unit,
        owner: Option<&OrderPlaced>,
        seen: Option<Holder>,
    ) -> bool {
        let truth = owner.map(|owner| (owner.order_id, owner.user_id));
        if let Some(shown) = self.held.get(&unit)
            && Some(*shown) != seen
            && *shown != truth
        {
            return false;
        }
        let is_marked = owner.is_none_or(|owner| {
            let hold = (owner.order_id, owner.units.clone());
            self.buyers.get(&owner.user_id) == Some(&hold)
        });
        if self.held.get(&unit) == Some(&truth) && is_marked {
            return false;
        }
        self.take_off(unit);
        self.held.insert(unit, truth);
        if let Some(owner) = owner {
            self.buyers
                .insert(owner.user_id, (owner.order_id, owner.units.clone()));
        }
        true
    }

    fn take_off(&mut self, unit: Unit) {
        if unit <= self.next {
            self.free.remove(&unit);
            return;
        }
        self.free.extend(self.next + 1..unit.min(self.top + 1));
        self.next = unit;
        self.top = self.top.max(unit);
    }

    pub(crate) fn offer(&mut self, top: Unit, units: &Units) -> u32 {
        let mut offered = top.saturating_sub(self.top);
        self.top = self.top.max(top);
        for unit in units.iter() {
            if unit <= self.next && !self.held.contains_key(&unit) && self.free.insert(unit) {
                offered += 1;
            }
        }
        offered
    }

    /// How many units the house took and nobody has settled.
    pub(crate) fn unfinished(&self) -> usize {
        let held = |unit: &&Unit| self.held.get(unit) == Some(&None);
        self.retiring.iter().filter(held).count()
    }

    /// The house has what it took before; it takes the set first, then the range.
    pub(crate) fn retire(&mut self, taken: &Units) {
        let held = &self.held;
        self.retiring.retain(|unit| held.get(unit) == Some(&None));
        assert!(self.retiring.iter().all(|unit| taken.contains(*unit)));
        for unit in taken.iter() {
            if !self.retiring.insert(unit) {
                continue;
            }
            if !self.free.remove(&unit) {
                self.next += 1;
                assert_eq!(unit, self.next);
            }
            assert_eq!(self.held.insert(unit, None), None);
        }
    }

    pub(crate) fn put_pending(&mut self, placed: &OrderPlaced) -> bool {
        let holder = Some((placed.order_id, placed.user_id));
        let hold = (placed.order_id, placed.units.clone());
        let stands = self.buyers.get(&placed.user_id) == Some(&hold);
        let holds = |unit| self.held.get(&unit) == Some(&holder);
        (stands || placed.units.iter().all(holds)) && self.pending.insert(placed.member())
    }

    /// What must hold whatever happens: a unit is at most in one place.
    pub(crate) fn check(&self) {
        assert!(self.next <= self.top);
        assert!(self.free.iter().all(|unit| *unit <= self.next));
        assert!(
            self.held
                .keys()
                .all(|unit| *unit <= self.next && !self.free.contains(unit))
        );
    }
}
