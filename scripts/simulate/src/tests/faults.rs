//! The rows of the list of faults that a simulation can look at closely: many schedules of one fault each.

use crate::{Tally, plan::Plan, schedule, world::Part};

use super::report;

/// How many schedules each fault gets, beyond those that have all faults together.
const EACH: u64 = 250;

/// Runs schedules of this shape; the fault must have happened in some.
fn survive(row: u64, shape: fn(&mut Plan), happened: fn(&Tally) -> u64) {
    let mut sum = Tally::default();
    for seed in row * 1_000_000..row * 1_000_000 + EACH {
        match schedule::run_shaped(seed, None, false, shape) {
            Ok(tally) => sum += tally,
            Err(failure) => report(&failure),
        }
    }
    assert!(happened(&sum) > EACH / 10, "it hardly happened: {sum:?}");
}

fn calm(plan: &mut Plan) {
    plan.redis_forgets = false;
    plan.broker_forgets = false;
    plan.crashes = false;
    plan.losses_per_mille = 0;
    plan.poison = false;
}

fn kill(plan: &mut Plan, victim: Part) {
    calm(plan);
    plan.crashes = true;
    plan.victim = Some(victim);
}

#[test]
fn fault_01_02_spike_dies_between_any_two_steps() {
    survive(1, |plan| kill(plan, Part::Spike), |tally| tally.crashes);
}

#[test]
fn fault_03_nobody_knows_whether_a_publish_was_stored() {
    let shape: fn(&mut Plan) = |plan| {
        calm(plan);
        plan.losses_per_mille = 150;
    };
    survive(3, shape, |tally| tally.orders);
}

#[test]
fn fault_05_events_come_ten_times_and_a_day_later() {
    let shape: fn(&mut Plan) = |plan| {
        calm(plan);
        plan.copies_percent = 90;
        plan.a_day_later = true;
    };
    survive(5, shape, |tally| tally.copies);
}

#[test]
fn fault_06_19_events_are_reordered_and_orders_asked_for_before_they_are_written() {
    survive(6, calm, |tally| tally.orders);
}

#[test]
fn fault_07_poison_among_good_events_fails_alone() {
    let shape: fn(&mut Plan) = |plan| {
        calm(plan);
        plan.poison = true;
    };
    survive(7, shape, |tally| tally.buried);
}

#[test]
fn fault_08_15_the_store_throttles_and_conflicts() {
    let shape: fn(&mut Plan) = |plan| {
        calm(plan);
        plan.losses_per_mille = 300;
        plan.copies_percent = 40;
    };
    survive(8, shape, |tally| tally.orders);
}

#[test]
fn fault_09_the_writer_dies_between_any_two_steps() {
    survive(9, |plan| kill(plan, Part::Writer), |tally| tally.crashes);
}

#[test]
fn fault_10_11_12_13_redis_comes_back_older_or_empty_or_as_two() {
    let shape: fn(&mut Plan) = |plan| {
        calm(plan);
        plan.redis_forgets = true;
        plan.steps = 360;
    };
    survive(10, shape, |tally| tally.losses);
}

#[test]
fn fault_17_sweepers_die_and_overlap() {
    survive(17, |plan| kill(plan, Part::Sweeper), |tally| tally.crashes);
}

#[test]
fn fault_20_21_stock_is_raised_and_lowered_by_an_admin_who_dies() {
    let shape: fn(&mut Plan) = |plan| {
        kill(plan, Part::Admin);
        (plan.admin, plan.lowers) = (true, true);
    };
    survive(20, shape, |tally| tally.crashes);
}
