//! The same suite against the Knative target: every function a process of its own behind nginx, on `MariaDB`, as
//! `break` puts it together.

use r#break::fleet::{Fleet, Target};

use crate::again::{Place, TURN, binaries, is_elsewhere, passes};

/// Not against this: tests that start a system of their own, and those of what nginx answers itself before a function is
/// asked: sockets, bodies that are too large, and addresses that are none.
const NOT_HERE: [&str; 8] = [
    "aws::",
    "broken::",
    "knative::",
    "up::",
    "faults::sockets::",
    "faults::guesses::fault_31",
    "faults::inputs::fault_28_injections_in_ids",
    "faults::tokens::fault_30",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_passes_against_functions_behind_nginx_on_mariadb() {
    if is_elsewhere() {
        return;
    }
    let _turn = TURN.lock().await;
    let binaries = tokio::task::spawn_blocking(binaries).await.unwrap();
    let fleet = Fleet::start_on(Target::Knative, &binaries).await.unwrap();
    let place = Place {
        base_url: &fleet.base_url,
        admin: &fleet.admin,
        signing_key_file: &fleet.signing_key_file,
        private_socket: &fleet.listen_inside().unwrap(),
    };
    passes(&place, &NOT_HERE).await;
}
