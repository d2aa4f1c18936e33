//! The gateway of the Knative target: nginx with the project's own configuration, on a port of the loopback address.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};

/// Where the configuration is.
const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../knative/base/gateway");
/// The line of `upstreams.conf` that says where Knative's network is.
const NETWORK: &str = "server kourier-internal.kourier-system.svc.cluster.local:80;";
/// What `listen.conf` says.
const LISTEN: &str = "listen 8080 default_server backlog=4096;";

/// Copies the configuration to `dir` with two addresses in it changed: where it listens, and where the network is. A
/// configuration that names them otherwise is an error.
pub fn configure(dir: &Path, port: u16, network: u16) -> anyhow::Result<PathBuf> {
    fs::create_dir(dir)?;
    let network = format!("server 127.0.0.1:{network};");
    let listen = LISTEN.replace("8080", &format!("127.0.0.1:{port}"));
    let mut changed = 0;
    for entry in fs::read_dir(SHIPPED).context(SHIPPED)? {
        let path = entry?.path();
        if path.extension().is_none_or(|it| it != "conf") {
            continue;
        }
        let shipped = fs::read_to_string(&path)?;
        let ours = shipped.replace(NETWORK, &network).replace(LISTEN, &listen);
        changed += u32::from(ours != shipped);
        fs::write(dir.join(path.file_name().unwrap_or_default()), ours)?;
    }
    ensure!(changed == 2, "{changed} of nginx' files name an address");
    Ok(dir.join("nginx.conf"))
}

/// The arguments by which it runs there: as in the Deployment, but as one process, of which nothing is left when it is
/// killed.
#[must_use]
pub fn arguments(dir: &Path, configuration: &Path) -> Vec<String> {
    let [dir, configuration] = [dir, configuration].map(|path| path.display().to_string());
    let arguments = [
        "-p",
        &dir,
        "-c",
        &configuration,
        "-e",
        "stderr",
        "-g",
        "daemon off; master_process off;",
    ];
    arguments.map(str::to_owned).to_vec()
}
