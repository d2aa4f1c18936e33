//! The end of a schedule: nothing breaks any more, and everything has to come to rest.

use domain::{OrderId, OrderState};
use rand::RngExt;

use super::Schedule;
use crate::{actors, check, steps::Choice, world::Part};

/// How many turns everything gets to come to rest.
const WIND_DOWN_TURNS: u32 = 60;

impl Schedule {
    /// Nothing breaks any more: everything that is under way is finished, and what was promised is kept.
    pub(super) async fn wind_down(&mut self) -> Result<(), String> {
        self.world
            .steps
            .note(|| "nothing breaks any more".to_owned());
        self.world.store.keep_up();
        self.world.server.heal();
        self.finish().await?;
        for turn in 0..WIND_DOWN_TURNS {
            self.deliver_all().await?;
            self.repeat_payments().await?;
            self.pass(6_000).await;
            self.sweep_now().await?;
            let quiet = turn > 3 && self.is_quiet();
            if quiet || turn % 10 == 9 {
                // Two audits, and a copy of something old in between.
                for _ in 0..2 {
                    self.pass(301_000).await;
                    self.duplicate();
                    self.deliver_all().await?;
                    self.sweep_now().await?;
                    self.sweep_now().await?;
                }
            }
            if quiet && self.is_quiet() {
                break;
            }
        }
        check::at_rest(&self.world)?;
        self.owners_read_their_orders().await?;
        for spike in self.plan.spikes.clone() {
            self.latecomers_get_the_rest(spike.id).await?;
        }
        self.deliver_all().await?;
        self.sweep_now().await?;
        if self.plan.a_day_later {
            self.come_back_a_day_later().await?;
        }
        Ok(())
    }

    /// Everything that was done is delivered once more, when it is long over.
    async fn come_back_a_day_later(&mut self) -> Result<(), String> {
        self.pass(86_400_000).await;
        {
            let mut book = self.world.book();
            for body in book.done.clone() {
                book.post(body, false);
            }
        }
        self.deliver_all().await?;
        for _ in 0..4 {
            self.sweep_now().await?;
            self.pass(301_000).await;
        }
        Ok(())
    }

    fn is_quiet(&self) -> bool {
        self.world.book().messages.is_empty() && check::at_rest(&self.world).is_ok()
    }

    /// Takes steps until nobody waits.
    pub(super) async fn finish(&mut self) -> Result<(), String> {
        for _ in 0..20_000 {
            self.settle().await;
            self.checks.after_step(&self.world, &self.plan)?;
            let waiting = self.world.steps.waiting();
            if waiting.is_empty() {
                if self
                    .processes
                    .iter()
                    .all(|process| process.tasks.is_empty())
                {
                    return Ok(());
                }
                // Somebody waits for time to pass.
                self.pass(1_000).await;
                continue;
            }
            let id = waiting[self.random.random_range(0..waiting.len())];
            self.world.steps.take(id, Choice::Proceed);
            self.tally.steps += 1;
        }
        Err("processes never come to an end".to_owned())
    }

    pub(super) async fn deliver_all(&mut self) -> Result<(), String> {
        let messages = self.world.book().messages.clone();
        for message in messages {
            let process = self.process(Part::Writer);
            self.spawn(process, |world, router| {
                actors::deliver(world, router, message)
            });
            self.finish().await?;
        }
        Ok(())
    }

    /// Of buyers whose payment got no answer every other tries again. The others never come back: whoever ends their order
    /// has to find their money (ADR 22).
    async fn repeat_payments(&mut self) -> Result<(), String> {
        let charged: Vec<_> = self.world.book().charged.iter().copied().collect();
        for order_id in charged {
            let order = self.world.store.state().orders.get(&order_id).cloned();
            let open = order.filter(|order| {
                order.payment.is_none()
                    && order.refund.is_none()
                    && order.state != OrderState::Rejected
                    && comes_back(order_id)
            });
            if let Some(order) = open {
                let (process, user_id) = (self.process(Part::Till), order.user_id);
                self.spawn(process, |world, router| {
                    actors::pay(world, router, order_id, user_id)
                });
                self.finish().await?;
            }
        }
        Ok(())
    }

    pub(super) async fn sweep_now(&mut self) -> Result<(), String> {
        let process = self.process(Part::Sweeper);
        self.spawn(process, actors::sweep);
        self.finish().await
    }
}

/// By the order's last byte, which is random: nothing has to be drawn for it.
fn comes_back(order_id: OrderId) -> bool {
    order_id.as_bytes()[15].is_multiple_of(2)
}
