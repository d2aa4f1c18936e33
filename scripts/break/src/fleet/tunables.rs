//! The file of tunables that `spike` follows, laid out as the kubelet mounts a `ConfigMap`: the file is a link through the
//! link `..data`, which is swapped for one to another directory.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::Mutex,
};

use crate::service::lock;

/// No limits: whoever comes is let through.
pub const UNLIMITED: &str = "bucket_burst = 0\nbucket_refill = 0\n";

/// The mounted directory.
pub struct Tunables {
    dir: PathBuf,
    /// How often the link was swapped.
    version: Mutex<u32>,
}

impl Tunables {
    pub(super) fn new(fleet: &Path) -> anyhow::Result<Self> {
        let dir = fleet.join("tunables");
        fs::create_dir(&dir)?;
        let tunables = Self {
            dir,
            version: Mutex::default(),
        };
        tunables.swap(UNLIMITED)?;
        symlink("..data/tunables.toml", tunables.path())?;
        Ok(tunables)
    }

    /// The file, as a process is told of it.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.dir.join("tunables.toml")
    }

    /// Replaces the text as the kubelet does: a new directory, another link, and the old directory is removed.
    pub fn swap(&self, text: &str) -> anyhow::Result<()> {
        let mut version = lock(&self.version);
        let [old, new] = [*version, *version + 1].map(|it| format!("..{it}"));
        fs::create_dir(self.dir.join(&new))?;
        fs::write(self.dir.join(&new).join("tunables.toml"), text)?;
        let link = self.dir.join("..data_tmp");
        symlink(&new, &link)?;
        fs::rename(&link, self.dir.join("..data"))?;
        if *version > 0 {
            fs::remove_dir_all(self.dir.join(old))?;
        }
        *version += 1;
        Ok(())
    }

    /// Writes the text in place, as one who edits the file.
    pub fn write(&self, text: &str) -> anyhow::Result<()> {
        Ok(fs::write(self.path(), text)?)
    }

    pub(super) fn restore(&self) -> anyhow::Result<()> {
        if fs::read_to_string(self.path()).is_ok_and(|text| text == UNLIMITED) {
            return Ok(());
        }
        self.swap(UNLIMITED)
    }
}
