//! After everything has come to rest: what was promised can be read, what is left can be bought, and what somebody gives
//! back can be bought at once.

use domain::{OrderId, Spike, SpikeId, Unit, UserId};
use http::StatusCode;
use rand::RngExt;

use super::Schedule;
use crate::{actors, plan, world::Part};

/// Of the promised orders so many are read.
const READ: usize = 4;

impl Schedule {
    /// I3: whoever was told 202 can read the order, and nobody else can.
    pub(super) async fn owners_read_their_orders(&mut self) -> Result<(), String> {
        let promised: Vec<_> = {
            let book = self.world.book();
            let promised = book.promised.iter().map(|(id, (_, user))| (*id, *user));
            promised.collect()
        };
        for _ in 0..READ.min(promised.len()) {
            let (order_id, owner) = promised[self.random.random_range(0..promised.len())];
            self.looks(order_id, owner, StatusCode::OK).await?;
            let stranger = plan::user_id(plan::USERS);
            self.looks(order_id, stranger, StatusCode::NOT_FOUND)
                .await?;
        }
        Ok(())
    }

    async fn looks(
        &mut self,
        order_id: OrderId,
        user_id: UserId,
        expected: StatusCode,
    ) -> Result<(), String> {
        let process = self.process(Part::Query);
        self.spawn(process, |world, router| {
            actors::look(world, router, order_id, user_id)
        });
        self.finish().await?;
        let told = self.world.book().seen.get(&(order_id, user_id)).copied();
        if told == Some(expected) {
            return Ok(());
        }
        Err(format!(
            "I3: {user_id} looks at {order_id} and is told {told:?} instead of {expected}"
        ))
    }

    /// I4 and I5 from outside: new buyers get every unit that is left, then nobody gets any; and a unit that one of them
    /// gives back is somebody's within a second, whoever remembers that everything was sold (row 35).
    pub(super) async fn latecomers_get_the_rest(&mut self, id: SpikeId) -> Result<(), String> {
        self.the_refused_stay_out(id).await?;
        let mut latecomers = plan::latecomers().map(plan::user_id);
        let mut bought = None;
        while let Some(left) = self.on_sale(id) {
            let Some(user_id) = latecomers.next() else {
                return Ok(());
            };
            if left == 0 {
                return self.gives_back(id, bought, user_id).await;
            }
            let limit = self
                .stored(id)
                .map_or(1, |spike| spike.settings.limit_per_user);
            let quantity = limit.min(left);
            let told = self.comes_late(id, user_id, quantity).await?;
            if told != Some(StatusCode::ACCEPTED) {
                return Err(format!(
                    "I5: {left} units are left, and a buyer of {quantity} is told {told:?}"
                ));
            }
            self.deliver_all().await?;
            bought = Some(user_id);
        }
        Ok(())
    }

    /// I9: whom the rules refuse that the sale has by now buys nothing.
    async fn the_refused_stay_out(&mut self, id: SpikeId) -> Result<(), String> {
        let rules = self.stored(id).map(|spike| spike.settings.rules);
        let for_members = rules.is_some_and(|rules| rules.contains(&plan::members_only()));
        if !for_members || self.on_sale(id).is_none_or(|left| left == 0) {
            return Ok(());
        }
        let told = self
            .comes_late(id, plan::user_id(plan::OUTSIDER), 1)
            .await?;
        if told != Some(StatusCode::FORBIDDEN) {
            return Err(format!("I9: somebody who is denied is told {told:?}"));
        }
        self.world.steps.saw("refused by the rules");
        Ok(())
    }

    async fn gives_back(
        &mut self,
        id: SpikeId,
        bought: Option<UserId>,
        next: UserId,
    ) -> Result<(), String> {
        let told = self.comes_late(id, next, 1).await?;
        if told != Some(StatusCode::CONFLICT) {
            return Err(format!("I1: nothing is left, and a buyer is told {told:?}"));
        }
        let order = bought.and_then(|user| {
            let state = self.world.store.state();
            Some((user, *state.places.get(&(id, user))?))
        });
        let (Some((user_id, order_id)), true) = (order, self.keeps_its_units(id)) else {
            return Ok(());
        };
        let process = self.process(Part::Till);
        self.spawn(process, |world, router| {
            actors::cancel(world, router, order_id, user_id)
        });
        self.finish().await?;
        self.pass(1_000).await;
        let told = self.comes_late(id, next, 1).await?;
        if told != Some(StatusCode::ACCEPTED) {
            return Err(format!(
                "I5: a second after a cancellation a buyer is told {told:?}"
            ));
        }
        self.world.steps.saw("bought after a cancellation");
        Ok(())
    }

    /// Somebody buys, at the same process of `spike` each time, and is told this.
    async fn comes_late(
        &mut self,
        id: SpikeId,
        user_id: UserId,
        quantity: u32,
    ) -> Result<Option<StatusCode>, String> {
        let process = (0..self.processes.len()).find(|it| self.processes[*it].part == Part::Spike);
        self.spawn(process.unwrap_or(0), |world, router| {
            actors::buy(world, router, id, user_id, quantity)
        });
        self.finish().await?;
        Ok(self.world.book().told.get(&user_id).copied())
    }

    fn stored(&self, id: SpikeId) -> Option<Spike> {
        self.world.store.state().spikes.get(&id).cloned()
    }

    /// Whether a unit that is given back goes on sale again, and not to the house.
    fn keeps_its_units(&self, id: SpikeId) -> bool {
        self.stored(id)
            .is_some_and(|spike| spike.live_units() == spike.settings.stock)
    }

    /// How many units can be bought; nothing if the sale is not open.
    fn on_sale(&self, id: SpikeId) -> Option<Unit> {
        let spike = self.stored(id)?;
        let now = self.world.steps.now_ms();
        let settings = &spike.settings;
        let is_open = settings.starts_at.as_millis() <= now
            && now + 120_000 < settings.ends_at.as_millis()
            && !spike.paused
            && !spike.closed;
        let state = self.world.store.state();
        let claimed = |unit: &Unit| state.units.contains_key(&(id, *unit));
        let free = (1..=spike.top).filter(|unit| !claimed(unit)).count();
        is_open.then(|| Unit::try_from(free).unwrap_or(Unit::MAX))
    }
}
