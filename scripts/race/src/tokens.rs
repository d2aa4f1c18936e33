//! The file that keeps the buyers' tokens from run to run, so that ten thousand passwords are hashed once at most.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use domain::Timestamp;
use serde::{Deserialize, Serialize};

use crate::api::Tokens;

/// A token is not used if it ends sooner than a race may take.
const NEEDED: Duration = Duration::from_mins(5);

/// What a login gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// For the `Authorization` header.
    pub access_token: String,
    /// When it ends, by the server's clock.
    pub expires_at: Timestamp,
    /// For the next session.
    pub refresh_token: String,
}

impl Session {
    /// The session that `tokens` began, which came at `now`.
    #[must_use]
    pub fn new(tokens: Tokens, now: Timestamp) -> Self {
        Self {
            access_token: tokens.access_token,
            expires_at: now + Duration::from_secs(tokens.expires_in_secs.into()),
            refresh_token: tokens.refresh_token,
        }
    }
}

/// Sessions by username: one JSON object.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
    sessions: BTreeMap<String, Session>,
}

impl TokenFile {
    /// Reads the file, if there is one.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let sessions = match std::fs::read(path) {
            Ok(text) => serde_json::from_slice(&text)
                .with_context(|| format!("{} is no file of tokens", path.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        Ok(Self {
            path: path.to_owned(),
            sessions,
        })
    }

    /// The session of a user.
    #[must_use]
    pub fn get(&self, username: &str) -> Option<&Session> {
        self.sessions.get(username)
    }

    /// How many sessions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Whether the user's access token will do for a race that begins at `now`.
    #[must_use]
    pub fn has_current(&self, username: &str, now: Timestamp) -> bool {
        let session = self.get(username);
        session.is_some_and(|session| session.expires_at > now + NEEDED)
    }

    /// Adds sessions and writes the file at once: a refresh token that was used is worth nothing any more.
    pub fn extend(
        &mut self,
        sessions: impl IntoIterator<Item = (String, Session)>,
    ) -> anyhow::Result<()> {
        self.sessions.extend(sessions);
        let written = self.write();
        written.with_context(|| self.path.display().to_string())
    }

    /// Writes a new file, which only its owner reads, and puts it in place of the old.
    fn write(&self) -> anyhow::Result<()> {
        let beside = self.path.with_extension("new");
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&beside)?;
        file.write_all(&serde_json::to_vec(&self.sessions)?)?;
        Ok(std::fs::rename(&beside, &self.path)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_outlive_the_process_while_they_are_valid() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        let now = Timestamp::from_millis(1_000_000);
        let tokens = Tokens {
            access_token: "a".to_owned(),
            expires_in_secs: 900,
            refresh_token: "r".to_owned(),
        };
        let session = Session::new(tokens, now);
        let mut file = TokenFile::open(&path).unwrap();
        file.extend([("race-000001".to_owned(), session.clone())])
            .unwrap();

        let file = TokenFile::open(&path).unwrap();
        assert_eq!(file.get("race-000001"), Some(&session));
        assert!(file.has_current("race-000001", now));
        assert!(!file.has_current("race-000001", now + Duration::from_mins(11)));
        assert!(!file.has_current("race-000002", now));
    }

    #[test]
    fn another_file_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        std::fs::write(&path, "precious").unwrap();
        assert!(TokenFile::open(&path).is_err());
    }
}
