//! Fleets that outlive every test. What they have started ends with this process.

use std::sync::mpsc;

use r#break::{
    fleet::{Fleet, Target},
    scenarios::{Form, Outcome, Scenario},
};
use tokio::sync::oneshot;

type Job = (Scenario, oneshot::Sender<Outcome>);

/// A fleet on a thread of its own, which does one scenario after the other.
pub(crate) struct Kept(mpsc::Sender<Job>);

impl Kept {
    pub(crate) fn start(target: Target) -> Self {
        let (jobs, todo) = mpsc::channel::<Job>();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let fleet = Fleet::start_on(target, &crate::examples()).await.unwrap();
                loop {
                    // Another fleet's turn is not to be disturbed by sweeps of this one.
                    let idle = fleet.without_sweeps().await;
                    let Ok((scenario, answer)) = tokio::task::block_in_place(|| todo.recv()) else {
                        return;
                    };
                    drop(idle);
                    let outcome = scenario.run(&fleet, Form::Short).await;
                    let _ = answer.send(outcome);
                }
            });
        });
        Self(jobs)
    }

    /// Runs the short form of a scenario, when it is its turn.
    pub(crate) fn run(&self, scenario: Scenario) {
        let _turn = crate::turn();
        let (answer, outcome) = oneshot::channel();
        self.0.send((scenario, answer)).unwrap();
        let outcome = outcome.blocking_recv().expect("the fleet lives");
        println!("{outcome}");
        assert!(outcome.result.is_ok(), "{outcome}");
    }
}
