//! Podman with images and containers of its own, in a directory that goes with the test.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use super::names;

/// What makes images.
pub(crate) const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../images");
/// What every container is started with: no write anywhere, no right to anything, and the network of this machine.
const RUN: &str = "run --rm --read-only --read-only-tmpfs=false --cap-drop=all --security-opt=no-new-privileges \
    --network=host --ipc=host";
/// Seconds after which a container ends by itself, should nobody be left to end it.
const LIFETIME: &str = "--timeout=900";
/// Podman's own exit codes: it could not, the command cannot be run, there is none.
const NOT_STARTED: [i32; 3] = [125, 126, 127];

/// How a program that runs an image begins: servers get their names, and what `NAME_FILE` says is mounted, since nothing of
/// the machine's is in a container. Of the tunables it is the directory, as the kubelet mounts one: its link is swapped.
const PROGRAM: &str = r#"#!/bin/sh
export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
set --
for variable in $(env | sed -n 's/^\([A-Z_]*\)=.*/\1/p'); do
  eval "value=\$$variable"
  case $variable in
    STOCK_URL) server=redis ;;
    STORE_URL) server=store ;;
    EVENTS_URL | K_SINK) server=broker ;;
    TUNABLES_FILE)
      set -- "$@" --volume "${value%/*}:/etc/spike/tunables:ro"
      export "$variable=/etc/spike/tunables/${value##*/}"
      continue
      ;;
    *_FILE)
      set -- "$@" --volume "$value:/etc/spike/$variable:ro"
      export "$variable=/etc/spike/$variable"
      continue
      ;;
    *) continue ;;
  esac
  export "$variable=$(printf %s "$value" | sed "s/127\.0\.0\.1/$server/")"
done
"#;

/// Where images and containers are kept.
pub(crate) struct Containers {
    dir: PathBuf,
    names: Vec<String>,
}

impl Containers {
    /// None where podman is not installed and cannot be either.
    pub(crate) fn new(dir: &Path) -> Option<Self> {
        let installed = ["podman", "buildah"].iter().all(|tool| {
            let mut version = Command::new(tool);
            version.arg("--version").stdout(Stdio::null());
            version.status().is_ok_and(|status| status.success())
        });
        if !installed {
            let installable =
                Path::new("/usr/bin/apt-get").exists() && rustix::process::geteuid().is_root();
            assert!(
                !installable,
                "podman is missing: scripts/install containers"
            );
            skip("podman and buildah are not installed");
            return None;
        }
        // With defaults of a desktop or a cluster, containers do not start inside of others: limits may only be lowered, and
        // there is neither systemd nor a file system that can be mounted over another.
        let runtime = if Path::new("/usr/sbin/runc").exists() {
            "runtime = \"runc\""
        } else {
            ""
        };
        let settings = format!(
            "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n\
             [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\n{runtime}\n"
        );
        fs::write(dir.join("containers.conf"), settings).unwrap();
        let [images, state] = ["images", "state"].map(|name| dir.join(name).display().to_string());
        let storage =
            format!("[storage]\ndriver = \"vfs\"\ngraphroot = {images:?}\nrunroot = {state:?}\n");
        fs::write(dir.join("storage.conf"), storage).unwrap();
        let dir = dir.to_owned();
        Some(Self {
            dir,
            names: names::arguments(),
        })
    }

    /// What podman and buildah have to be told.
    fn environment(&self) -> [(&'static str, PathBuf); 2] {
        [
            ("CONTAINERS_CONF", self.dir.join("containers.conf")),
            ("CONTAINERS_STORAGE_CONF", self.dir.join("storage.conf")),
        ]
    }

    /// Makes images of `binaries/NAME` and tells what they are called.
    pub(crate) fn build(&self, binaries: &Path, functions: &[&str]) -> Vec<String> {
        let mut script = Command::new(SCRIPT);
        script.args([
            "--tag",
            "test",
            "--source",
            "https://spike.test/",
            "--binaries",
        ]);
        script.arg(binaries).args(["--only", &functions.join(",")]);
        let built = text(script.envs(self.environment()).output().unwrap());
        built.lines().map(str::to_owned).collect()
    }

    /// Whether a container starts on this machine: without its environment, a function names what it misses.
    pub(crate) fn can_run(&self, image: &str) -> bool {
        let output = self.podman(&[RUN, LIFETIME, image].join(" "));
        let error = String::from_utf8_lossy(&output.stderr);
        if output
            .status
            .code()
            .is_some_and(|code| NOT_STARTED.contains(&code))
        {
            skip(&format!(
                "podman starts no container here: {}",
                error.trim()
            ));
            return false;
        }
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains("_URL"), "{error}");
        true
    }

    /// A program that runs the image in its own environment, but with the servers' names in the place of their addresses,
    /// and with the files that it names mounted.
    pub(crate) fn program(&self, image: &str, path: &Path) {
        let settings = self
            .environment()
            .map(|(variable, file)| format!("export {variable}='{}'\n", file.display()));
        let home = format!("export HOME='{}'\n", self.dir.display());
        let names = self.names.join(" ");
        let run = format!("exec podman {RUN} --env-host {LIFETIME} {names} \"$@\" {image}\n");
        let program = [PROGRAM, &settings.concat(), &home, &run].concat();
        fs::write(path, program).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// What podman says of all running containers, a line each.
    pub(crate) fn running(&self, format: &str) -> Vec<String> {
        let ids = text(self.podman("ps --quiet --no-trunc"));
        let ids: Vec<&str> = ids.lines().collect();
        let told = self.podman(&format!("inspect --format {format} {}", ids.join(" ")));
        text(told).lines().map(str::to_owned).collect()
    }

    /// The files of an image, sorted.
    pub(crate) fn files(&self, image: &str) -> Vec<String> {
        let id = text(self.podman(&format!("create {image}")));
        let archive = self.podman(&format!("export {id}"));
        let mut list = Command::new("tar");
        list.arg("--list")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut list = list.spawn().unwrap();
        let mut pipe = list.stdin.take().unwrap();
        std::thread::scope(|scope| {
            // Both ends at once: what is in between holds less than an image.
            scope.spawn(move || pipe.write_all(&archive.stdout).unwrap());
            let files = text(list.wait_with_output().unwrap());
            let files = files.lines().filter(|name| !name.ends_with('/'));
            let mut files: Vec<_> = files.map(str::to_owned).collect();
            files.sort();
            files
        })
    }

    fn podman(&self, arguments: &str) -> Output {
        let mut podman = Command::new("podman");
        podman.args(arguments.split_whitespace());
        podman.envs(self.environment()).stdin(Stdio::null());
        podman.output().unwrap()
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        // Those whose `podman run` was killed go on.
        self.podman("rm --all --force --time=0");
    }
}

/// What a command wrote; it must have succeeded.
fn text(output: Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {error}", output.status);
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Says so, past the harness that keeps what a test prints to itself.
fn skip(why: &str) {
    let line = format!("\nNOT TESTED: images of the functions: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}
