//! The data directory: one process at a time, and the secrets that are made once and kept.
//!
//! | file | what |
//! |---|---|
//! | `lock` | held while a `local` runs on the directory |
//! | `store/` | the durable store, an SQLite file |
//! | `redis/` | Redis' append-only file, log and process id |
//! | `signing-key.pem` | signs access tokens (0600) |
//! | `path-token.key` | makes path tokens (0600) |
//! | `admin` | name and password of the operator, `admin:PASSWORD` (0600) |
//! | `tunables.toml` | not ours: tunables, if the operator puts them there |
//! | `private.sock` | while it runs: event and timer routes, for this user only |

use std::{
    fmt::Write as _,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use auth::SigningKey;

/// Longest path of a Unix socket that every system takes: macOS has 104 bytes with the closing zero.
const SOCKET_PATH_BYTES_MAX: usize = 103;

/// A locked data directory.
#[derive(Debug)]
pub struct Data {
    root: PathBuf,
    _lock: File,
}

impl Data {
    /// Makes the directory if it is not there, and locks it.
    pub fn open(root: &Path) -> anyhow::Result<Self> {
        let shown = root.display();
        private_dir(root).with_context(|| format!("cannot make the data directory {shown}"))?;
        let root = root.canonicalize();
        let root = root.with_context(|| format!("cannot find the data directory {shown}"))?;
        let lock = private_file()
            .create(true)
            .truncate(false)
            .open(root.join("lock"));
        let lock = lock.with_context(|| format!("cannot write to the data directory {shown}"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { root, _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                bail!("the data directory {shown} is in use by another `local`")
            }
            Err(TryLockError::Error(error)) => {
                Err(error).context(format!("cannot lock the data directory {shown}"))
            }
        }
    }

    /// Removes everything that a `local` keeps here, and nothing else.
    pub fn reset(&self) -> anyhow::Result<()> {
        for dir in ["store", "redis"] {
            remove(&self.root.join(dir), |path| fs::remove_dir_all(path))?;
        }
        for file in ["signing-key.pem", "path-token.key", "admin", "private.sock"] {
            remove(&self.root.join(file), |path| fs::remove_file(path))?;
        }
        Ok(())
    }

    /// A directory in it, made if it is not there.
    pub fn dir(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.root.join(name);
        private_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(path)
    }

    /// A file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The path of the key that signs access tokens, made if it is not there.
    pub fn signing_key(&self) -> anyhow::Result<PathBuf> {
        let path = self.file("signing-key.pem");
        self.secret("signing-key.pem", || Ok(SigningKey::generate_pem()?))?;
        Ok(path)
    }

    /// A secret text that is made once and kept for this user only.
    pub fn secret(
        &self,
        name: &str,
        make: impl FnOnce() -> anyhow::Result<String>,
    ) -> anyhow::Result<String> {
        let path = self.file(name);
        let read = fs::read_to_string(&path);
        if let Err(error) = &read
            && error.kind() == io::ErrorKind::NotFound
        {
            let secret = make()?;
            keep(&path, &secret).with_context(|| format!("cannot write {}", path.display()))?;
            return Ok(secret);
        }
        read.with_context(|| format!("cannot read {}", path.display()))
    }

    /// Where a socket of this name goes: in the directory, or in a directory of the system's if that path is too long
    /// for a socket. The choice is written down, so that the next start finds what this one left behind.
    pub fn socket(&self, name: &str) -> anyhow::Result<PathBuf> {
        let near = self.file(name);
        if near.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
            return Ok(near);
        }
        let place = self.secret(&format!("{name}.place"), || {
            let far = tempfile::Builder::new().prefix("spike-").tempdir();
            let far = far.context("cannot make a directory for sockets")?.keep();
            Ok(far.to_string_lossy().into_owned())
        })?;
        let place = PathBuf::from(place);
        private_dir(&place).with_context(|| format!("cannot make {}", place.display()))?;
        Ok(place.join(Path::new(name).file_name().unwrap_or_default()))
    }
}

/// A random text of 160 bits in lower-case hexadecimal, good as a password or a key.
#[must_use]
pub fn random_text() -> String {
    let bytes: [u8; 20] = auth::random();
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Writes the whole file or none of it: a half-written key would be kept forever.
fn keep(path: &Path, text: &str) -> io::Result<()> {
    let half = path.with_extension("new");
    let mut file = private_file().create(true).truncate(true).open(&half)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(half, path)
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

fn private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

fn remove(path: &Path, remove: impl FnOnce(&Path) -> io::Result<()>) -> anyhow::Result<()> {
    match remove(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.with_context(|| format!("cannot remove {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_directory_in_use_is_told_in_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let first = Data::open(dir.path()).unwrap();
        let error = format!("{:#}", Data::open(dir.path()).unwrap_err());
        assert!(
            error.contains("is in use") && !error.contains('\n'),
            "{error}"
        );
        drop(first);
        Data::open(dir.path()).unwrap();
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_told_in_one_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = format!("{:#}", Data::open(&file.path().join("data")).unwrap_err());
        assert!(
            error.starts_with("cannot make the data directory"),
            "{error}"
        );
        assert!(!error.contains('\n'), "{error}");
    }

    #[test]
    fn secrets_are_made_once_and_for_this_user_only() {
        let dir = tempfile::tempdir().unwrap();
        let data = Data::open(dir.path()).unwrap();
        let first = data.secret("admin", || Ok(random_text())).unwrap();
        let again = data.secret("admin", || Ok(random_text())).unwrap();
        assert_eq!((first.len(), &first), (40, &again));
        let key = data.signing_key().unwrap();
        for path in [key, data.file("admin")] {
            assert_eq!(
                fs::metadata(path).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
    }

    #[test]
    fn a_reset_forgets_what_is_ours_and_leaves_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let data = Data::open(dir.path()).unwrap();
        let first = data.secret("admin", || Ok(random_text())).unwrap();
        fs::write(data.dir("redis").unwrap().join("appendonly.aof"), "x").unwrap();
        fs::write(data.file("notes.txt"), "mine").unwrap();
        data.reset().unwrap();
        assert!(!data.file("redis").exists());
        assert_eq!(fs::read_to_string(data.file("notes.txt")).unwrap(), "mine");
        let second = data.secret("admin", || Ok(random_text())).unwrap();
        assert_ne!(first, second);
    }

    #[test]
    fn what_cannot_be_removed_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let data = Data::open(dir.path()).unwrap();
        fs::create_dir(data.file("admin")).unwrap();
        let error = format!("{:#}", data.reset().unwrap_err());
        let expected = format!("cannot remove {}: ", data.file("admin").display());
        assert!(error.starts_with(&expected), "{error}");
    }

    #[test]
    fn a_socket_whose_path_is_too_long_goes_elsewhere_and_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let short = Data::open(dir.path()).unwrap();
        assert!(
            short
                .socket("private.sock")
                .unwrap()
                .starts_with(dir.path().canonicalize().unwrap())
        );
        let long = Data::open(&dir.path().join("x".repeat(120))).unwrap();
        let socket = long.socket("private.sock").unwrap();
        assert!(
            socket.as_os_str().len() <= SOCKET_PATH_BYTES_MAX,
            "{}",
            socket.display()
        );
        assert_eq!(long.socket("private.sock").unwrap(), socket);
        fs::remove_dir(socket.parent().unwrap()).unwrap();
    }
}
