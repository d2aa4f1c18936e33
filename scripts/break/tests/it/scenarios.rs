//! The short form of every scenario. They share one fleet, one after the other.

use std::sync::{LazyLock, mpsc};

use r#break::{
    fleet::Fleet,
    scenarios::{ALL, Form, Outcome},
};
use tokio::sync::oneshot;

type Job = (&'static str, oneshot::Sender<Outcome>);

static FLEET: LazyLock<mpsc::Sender<Job>> = LazyLock::new(start);

/// Starts the fleet on a thread of its own, which outlives every test. What it has started ends with this process.
fn start() -> mpsc::Sender<Job> {
    let (jobs, todo) = mpsc::channel::<Job>();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let fleet = Fleet::start(&crate::examples()).await.unwrap();
            while let Ok((name, answer)) = tokio::task::block_in_place(|| todo.recv()) {
                let scenario = ALL.iter().find(|it| it.name == name).unwrap();
                let outcome = scenario.run(&fleet, Form::Short).await;
                let _ = answer.send(outcome);
            }
        });
    });
    jobs
}

fn run(name: &'static str) {
    let _turn = crate::turn();
    let (answer, outcome) = oneshot::channel();
    FLEET.send((name, answer)).unwrap();
    let outcome = outcome.blocking_recv().expect("the fleet lives");
    println!("{outcome}");
    assert!(outcome.result.is_ok(), "{outcome}");
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
