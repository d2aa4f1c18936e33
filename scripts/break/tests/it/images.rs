//! The images of `spike` and `order-writer`, of the test build: they run read-only and not as root, find Redis, `MariaDB` and
//! the broker by their names, and a sale goes through them as it goes through processes.

mod containers;
mod names;

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use r#break::{
    audit::{Allowed, audit},
    fleet::{Fleet, Target},
    service::Signal,
    shop::{Shop, Terms},
};

use containers::Containers;

/// Who runs in containers; all others are processes.
const FUNCTIONS: [&str; 2] = ["spike", "order-writer"];

#[test]
fn a_sale_goes_through_containers() {
    let _turn = crate::turn();
    let dir = tempfile::tempdir().unwrap();
    let Some(containers) = Containers::new(dir.path()) else {
        return;
    };
    let [binaries, programs] = ["binaries", "programs"].map(|name| dir.path().join(name));
    for dir in [&binaries, &programs] {
        fs::create_dir(dir).unwrap();
    }
    for name in FUNCTIONS {
        let binary = crate::examples().join(format!("break-{name}"));
        symlink(binary, binaries.join(name)).unwrap();
    }
    let images = containers.build(&ready_binaries().unwrap_or(binaries), &FUNCTIONS);
    assert_eq!(images, FUNCTIONS.map(|name| format!("spike/{name}:test")));
    for image in &images {
        holds_one_program(&containers.files(image));
    }
    if !containers.can_run(&images[0]) {
        return;
    }
    for entry in crate::examples().read_dir().unwrap() {
        let (binary, name) = entry.map(|it| (it.path(), it.file_name())).unwrap();
        let function = name.to_str().and_then(|name| name.strip_prefix("break-"));
        let place = FUNCTIONS.iter().position(|name| Some(*name) == function);
        match place {
            Some(place) => containers.program(&images[place], &programs.join(name)),
            None => symlink(binary, programs.join(name)).unwrap(),
        }
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(sell(&programs, &containers));
}

/// What was built for the images themselves, where somebody has the patience.
#[expect(
    clippy::disallowed_methods,
    reason = "the environment says which binaries are tested"
)]
fn ready_binaries() -> Option<PathBuf> {
    std::env::var("IMAGE_BINARIES").ok().map(PathBuf::from)
}

/// No shell, and nothing else that was not asked for. What a binary of the test build is linked with lies in `lib`.
fn holds_one_program(files: &[String]) {
    let is_library = |name: &&String| name.starts_with("lib") || name.starts_with("usr/lib");
    let files: Vec<_> = files.iter().filter(|name| !is_library(name)).collect();
    assert_eq!(files, ["etc/ssl/certs/ca-certificates.crt", "main"]);
}

async fn sell(programs: &Path, containers: &Containers) {
    let fleet = Fleet::start_on(Target::Knative, programs).await.unwrap();
    let running = containers.running("{{.State.Pid}}");
    assert_eq!(running.len(), FUNCTIONS.len(), "{running:?}");
    for id in running {
        is_harmless(Path::new("/proc").join(id).as_path());
    }
    let shop = Shop::open(&fleet, Terms::units(10)).await.unwrap();
    let shoppers = shop.crowd(0, 20, Duration::from_secs(1)).ends().await;
    let found = audit(&shop, &shoppers, 10, Allowed::Nothing).await.unwrap();
    assert_eq!(found.live.len(), 10, "sold out");
    for name in FUNCTIONS {
        let function = fleet.function(name);
        assert_eq!(function.life().failed, 0, "{name}");
        function.signal(Signal::TERM);
        let drained = function.until("ends with success", |life| life.drained == 1);
        drained.await.unwrap();
    }
}

/// That a process is nobody's in particular, and may write nowhere.
fn is_harmless(process: &Path) {
    let status = fs::read_to_string(process.join("status")).unwrap();
    let user = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    let user = user.and_then(|ids| ids.split_whitespace().next());
    let is_root = rustix::process::geteuid().is_root();
    // In a container of somebody who is not root, 65532 is mapped to another.
    assert!(!is_root || user == Some("65532"), "{user:?}");
    let mounts = fs::read_to_string(process.join("mountinfo")).unwrap();
    let root = mounts
        .lines()
        .find(|line| line.split(' ').nth(4) == Some("/"));
    let options = root.and_then(|line| line.split(' ').nth(5)).unwrap();
    assert!(options.split(',').any(|it| it == "ro"), "{options}");
}

#[test]
fn the_script_says_in_one_line_what_is_wrong() {
    for (arguments, error) in [
        (
            &["--colour"][..],
            "images: --colour is no option; --help shows all\n",
        ),
        (&["--tag"], "images: --tag wants a value\n"),
        (
            &["--only", "spike,sneaker"],
            "images: there is no function called sneaker\n",
        ),
        (
            &["--with", "tar", "--binaries", "/"],
            "images: --with tar: that is neither buildah, podman nor docker\n",
        ),
        (
            &["--roots", "/", "--binaries", "/nowhere", "--only", "spike"],
            "images: there is no binary /nowhere/spike\n",
        ),
    ] {
        let output = Command::new(containers::SCRIPT)
            .args(arguments)
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(output.stderr).unwrap(), error);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    }
}
