//! The Knative target as far as there is one without a cluster: every function as a process of its own with the environment
//! of its manifest, `MariaDB`, Redis, the broker, and nginx with the project's configuration in front.
//!
//! `docs/knative.md` has the table of what each of these tests is the proof of.

mod capacity;
mod contract;
mod crowd;
mod subscriber;
mod zero;

use std::sync::LazyLock;

use r#break::{
    fleet::Target,
    scenarios::{ALL, Scenario},
};

use crate::fleets::Kept;

static FLEET: LazyLock<Kept> = LazyLock::new(|| Kept::start(Target::Knative));

/// The faults that are this target's own: its store, its gateway, and what the platform does to processes.
macro_rules! faults {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            let name = stringify!($name);
            let scenario = ALL.iter().find(|it| it.name == name).unwrap();
            FLEET.run(*scenario);
        })*
    };
}

macro_rules! contracts {
    ($($module:ident::$name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            let run: r#break::scenarios::Run = |fleet, _| Box::pin($module::$name(fleet));
            FLEET.run(Scenario::new(stringify!($name), run));
        })*
    };
}

faults![
    fault_01_killed_between_reserve_and_publish,
    fault_02_killed_after_the_brokers_ack,
    fault_04_the_broker_refuses,
    fault_07_poison_among_good_events,
    fault_08_three_of_ten_deliveries_are_refused,
    fault_09_the_writer_is_killed_around_its_commit,
    fault_14_the_store_is_away,
    fault_33_sigterm_under_load,
    fault_34_the_tunables_are_broken_and_swapped,
];

contracts![
    contract::a_function_listens_on_the_port_that_it_is_told,
    contract::a_function_speaks_http_1_and_h2c_on_that_port,
    contract::a_function_serves_while_redis_is_away_and_finds_it_again,
    contract::a_function_that_is_told_to_stop_is_not_ready_first_drains_and_ends_with_success,
    contract::a_function_keeps_nothing_on_its_disk,
    zero::a_function_at_zero_is_started_by_requests_that_wait_for_it,
    zero::everything_at_zero_is_started_by_a_purchase,
    zero::two_instances_of_a_function_share_a_sale,
    subscriber::too_many_requests_are_delivered_again,
    subscriber::deliveries_that_come_together_are_few_transactions,
    subscriber::a_sweeper_publishes_again_and_again_until_it_is_told_to_stop,
    capacity::prewarm_raises_before_a_sale_and_lowers_when_it_is_gone,
    crowd::a_thousand_buyers_race_for_fifty_units,
];
