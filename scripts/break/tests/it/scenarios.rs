//! The short form of every scenario. They share one fleet, one after the other.

use std::sync::LazyLock;

use r#break::{fleet::Target, scenarios::ALL};

use crate::fleets::Kept;

static FLEET: LazyLock<Kept> = LazyLock::new(|| Kept::start(Target::Local));

fn run(name: &str) {
    let scenario = ALL.iter().find(|it| it.name == name).unwrap();
    FLEET.run(*scenario);
}

macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            run(stringify!($name));
        })*

        #[test]
        fn every_scenario_has_its_test() {
            let tests = [$(stringify!($name)),*];
            let scenarios: Vec<&str> = ALL.iter().map(|it| it.name).collect();
            assert_eq!(tests.as_slice(), scenarios);
        }
    };
}

tests![
    fault_01_killed_between_reserve_and_publish,
    fault_02_killed_after_the_brokers_ack,
    fault_03_the_broker_is_silent,
    fault_04_the_broker_refuses,
    fault_05_every_event_comes_ten_times,
    fault_07_poison_among_good_events,
    fault_08_three_of_ten_deliveries_are_refused,
    fault_09_the_writer_is_killed_around_its_commit,
    fault_10_redis_restarts_with_an_older_state,
    fault_11_redis_is_wiped,
    fault_12_a_lagging_replica_takes_over,
    fault_14_the_store_is_away,
    fault_15_the_store_throttles,
    fault_16_clocks_differ_by_five_minutes,
    fault_17_two_sweepers_killed_at_every_step,
    fault_19_cancel_and_pay_are_killed_between_store_and_redis,
    fault_20_changes_of_a_sale_are_killed_half_way,
    fault_33_sigterm_under_load,
    fault_34_the_tunables_are_broken_and_swapped,
    fault_36_redis_is_slow_full_and_forgets_its_scripts,
    fault_09_kill_anything_every_second,
];
