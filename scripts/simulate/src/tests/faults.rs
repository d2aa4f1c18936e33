//! The rows of the list of faults that a simulation can look at closely: many schedules of one fault each.

use crate::{Shape, run_many};

use super::give_up;

/// How many schedules each fault gets, beyond those that have all faults together.
const EACH: u64 = 250;

/// Runs schedules of this shape, in which this must have happened.
fn survive(row: u64, shape: Shape, happened: &str) {
    let sum = match run_many(row * 1_000_000, EACH, shape, None) {
        Ok(sum) => sum,
        Err(failure) => give_up(&failure),
    };
    let seen = match happened {
        "crash" => sum.crashes,
        "loss" => sum.losses,
        "copy" => sum.copies,
        "burial" => sum.buried,
        what => sum.seen.get(what).copied().unwrap_or(0),
    };
    assert!(seen > EACH / 20, "{happened:?} hardly happened: {sum:?}");
}

#[test]
fn fault_01_spike_dies_between_any_two_steps() {
    survive(1, Shape::SpikeDies, "crash");
}

#[test]
fn fault_02_a_spike_that_died_after_its_publish_answers_the_retry_alike() {
    survive(2, Shape::SpikeDies, "replay of what is published");
}

#[test]
fn fault_03_nobody_knows_whether_a_publish_was_stored() {
    survive(3, Shape::LostPublishes, "publish without an answer");
}

#[test]
fn fault_05_events_come_ten_times_and_a_day_later() {
    survive(5, Shape::Copies, "copy");
}

#[test]
fn fault_06_events_are_reordered_and_orders_paid_for_before_they_are_written() {
    survive(6, Shape::Late, "payment before the order is written");
}

#[test]
fn fault_07_poison_among_good_events_fails_alone() {
    survive(7, Shape::Poison, "burial");
}

#[test]
fn fault_08_of_a_batch_a_part_is_throttled() {
    survive(8, Shape::Throttled, "batch throttled in part");
}

#[test]
fn fault_09_the_writer_dies_between_any_two_steps() {
    survive(9, Shape::WriterDies, "crash");
}

#[test]
fn fault_10_redis_comes_back_as_it_was() {
    survive(10, Shape::OlderRedis, "loss");
}

#[test]
fn fault_11_redis_is_wiped_while_the_sale_runs() {
    survive(11, Shape::EmptyRedis, "loss");
}

#[test]
fn fault_12_a_lagging_replica_takes_over_while_some_write_to_the_old_primary() {
    survive(12, Shape::Failover, "loss");
}

#[test]
fn fault_13_of_two_loaders_the_second_changes_nothing() {
    survive(13, Shape::Loaders, "second load");
}

#[test]
fn fault_15_the_store_fails_again_and_again() {
    survive(15, Shape::StoreFails, "call of the store without an answer");
}

#[test]
fn fault_16_clocks_are_ten_minutes_apart() {
    survive(16, Shape::ClocksApart, "refused as too early");
}

#[test]
fn fault_17_sweepers_die_and_overlap() {
    survive(17, Shape::SweepersDie, "two sweeps at once");
}

#[test]
fn fault_19_orders_are_cancelled_again_and_again() {
    survive(19, Shape::Impatient, "cancelled again");
}

#[test]
fn fault_20_stock_is_raised_by_an_admin_who_dies() {
    survive(20, Shape::Raises, "raised");
}

#[test]
fn fault_21_stock_is_lowered_below_what_is_sold() {
    survive(21, Shape::Lowers, "lowered");
}

#[test]
fn fault_35_a_unit_given_back_can_be_bought_within_a_second() {
    survive(35, Shape::Calm, "bought after a cancellation");
}

#[test]
fn an_admin_who_dies_changes_times_and_rules() {
    survive(101, Shape::Rewrites, "end moved");
    survive(102, Shape::Rewrites, "rules changed");
    survive(103, Shape::Rewrites, "start moved");
    survive(106, Shape::Rewrites, "refused by the rules");
}

#[test]
fn spikes_are_deleted_while_they_are_loaded() {
    survive(104, Shape::Deletes, "deleted");
}

#[test]
fn the_payment_provider_fails_again_and_again() {
    survive(105, Shape::ProviderFails, "charge without an answer");
}
