//! The environment: read once, in `main.rs`, with the name of each wrong variable in the error.
//!
//! A secret may be given as `NAME`, as `NAME_FILE`, the path of a file that holds it (a mounted Secret), or on AWS as
//! `NAME_SECRET`, which names it in Secrets Manager (ADR 25): see [`read_secrets`].

#[cfg(feature = "aws")]
mod secrets;

use std::{collections::HashMap, fmt, ops::RangeInclusive, path::PathBuf, sync::OnceLock};

use url::Url;

/// What is wrong with a variable. Never holds the value: it may be a secret.
#[derive(Debug, thiserror::Error)]
pub enum EnvError {
    /// The variable is not there, or empty.
    #[error("{0} is not set")]
    Missing(String),
    /// The variable is there and is not what it has to be.
    #[error("{name} is not {expected}")]
    Wrong {
        /// The variable.
        name: String,
        /// What it has to be.
        expected: String,
    },
    /// The file that holds a secret cannot be read.
    #[error("the file that {name} names cannot be read")]
    File {
        /// The variable, which ends in `_FILE`.
        name: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Text that is never shown: no `Debug` of the content, no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text that must not be shown.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The variable's text, if it is there and not empty.
#[must_use]
pub fn optional(name: &str) -> Option<String> {
    read(name)
}

/// The variable's text.
pub fn text(name: &str) -> Result<String, EnvError> {
    required(name, read(name))
}

/// The variable as an absolute URL. One with a password may be given as a secret that is read by its name.
pub fn url(name: &str) -> Result<Url, EnvError> {
    parse_url(name, &required(name, read(name).or_else(|| by_name(name)))?)
}

/// Reads the secrets that the environment gives by their names, all at once, so that [`secret`] and [`url()`] have them. Called
/// once, before those; where none is named, there is nothing to do.
#[cfg(feature = "aws")]
pub async fn read_secrets() -> anyhow::Result<()> {
    let _ = BY_NAME.set(secrets::read(&secrets::named()).await?);
    Ok(())
}

/// Reads nothing: this build knows no secrets by name.
#[cfg(not(feature = "aws"))]
pub fn read_secrets() -> std::future::Ready<anyhow::Result<()>> {
    std::future::ready(Ok(()))
}

/// What [`read_secrets`] has read.
static BY_NAME: OnceLock<HashMap<String, String>> = OnceLock::new();

fn by_name(name: &str) -> Option<String> {
    BY_NAME.get()?.get(name).cloned()
}

/// The address of the broker: `EVENTS_URL`, or else `K_SINK`, which Knative puts in by a `SinkBinding`.
///
/// What is given by hand wins. `K_CE_OVERRIDES` is not read: our events have all their attributes.
pub fn events_url() -> Result<Url, EnvError> {
    pick_events_url(read)
}

/// The variable as a whole number within `range`; `default` if it is not there.
pub fn number(name: &str, default: u64, range: RangeInclusive<u64>) -> Result<u64, EnvError> {
    parse_number(name, read(name), default, &range)
}

/// The secret in `name`, or in the file that `name_FILE` names.
pub fn secret(name: &str) -> Result<Secret, EnvError> {
    let secret = optional_secret(name)?;
    secret.ok_or_else(|| EnvError::Missing(format!("{name} (or {name}_FILE)")))
}

/// As [`secret`], where nothing need be given.
pub fn optional_secret(name: &str) -> Result<Option<Secret>, EnvError> {
    let file_name = format!("{name}_FILE");
    match (read(name), read(&file_name)) {
        (Some(text), _) => Ok(Some(Secret(text))),
        (None, Some(path)) => read_secret(file_name, path.into()).map(Some),
        (None, None) => Ok(by_name(name).map(Secret)),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the environment"
)]
fn read(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

fn required(name: &str, value: Option<String>) -> Result<String, EnvError> {
    value.ok_or_else(|| EnvError::Missing(name.to_owned()))
}

fn pick_events_url(read: impl Fn(&str) -> Option<String>) -> Result<Url, EnvError> {
    for name in ["EVENTS_URL", "K_SINK"] {
        if let Some(text) = read(name) {
            return parse_url(name, &text);
        }
    }
    Err(EnvError::Missing("EVENTS_URL (or K_SINK)".to_owned()))
}

fn parse_url(name: &str, text: &str) -> Result<Url, EnvError> {
    Url::parse(text).map_err(|_| wrong(name, "a URL"))
}

fn parse_number(
    name: &str,
    value: Option<String>,
    default: u64,
    range: &RangeInclusive<u64>,
) -> Result<u64, EnvError> {
    let Some(text) = value else {
        return Ok(default);
    };
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| {
        let expected = format!("a number from {} to {}", range.start(), range.end());
        wrong(name, &expected)
    })
}

/// Trailing line ends are the editor's, not the secret's.
fn read_secret(name: String, path: PathBuf) -> Result<Secret, EnvError> {
    match std::fs::read_to_string(path) {
        Ok(text) if text.trim().is_empty() => Err(EnvError::Missing(name)),
        Ok(text) => Ok(Secret(text.trim_end_matches(['\r', '\n']).to_owned())),
        Err(source) => Err(EnvError::File { name, source }),
    }
}

fn wrong(name: &str, expected: &str) -> EnvError {
    EnvError::Wrong {
        name: name.to_owned(),
        expected: expected.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_variable_is_named() {
        let error = text("SPIKE_TEST_UNSET").unwrap_err();
        assert_eq!(error.to_string(), "SPIKE_TEST_UNSET is not set");
        let error = secret("SPIKE_TEST_UNSET").unwrap_err();
        let expected = "SPIKE_TEST_UNSET (or SPIKE_TEST_UNSET_FILE) is not set";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_wrong_value_is_named_and_not_shown() {
        let error = parse_url("STORE_URL", "hunter2").unwrap_err();
        assert_eq!(error.to_string(), "STORE_URL is not a URL");
        let error = parse_number("RATE", Some("1000".to_owned()), 1, &(1..=10)).unwrap_err();
        assert_eq!(error.to_string(), "RATE is not a number from 1 to 10");
    }

    #[test]
    fn the_broker_is_the_sink_that_knative_gives_unless_another_is_named() {
        let events = ("EVENTS_URL", "http://127.0.0.1:7000/");
        let sink = ("K_SINK", "http://broker-ingress.example/spike/default");
        let pick = |given: &[(&str, &str)]| {
            pick_events_url(|name| {
                let found = given.iter().find(|(given, _)| *given == name);
                found.map(|(_, text)| (*text).to_owned())
            })
        };
        assert_eq!(pick(&[sink]).unwrap().as_str(), sink.1);
        assert_eq!(pick(&[sink, events]).unwrap().as_str(), events.1);
        let error = pick(&[]).unwrap_err();
        assert_eq!(error.to_string(), "EVENTS_URL (or K_SINK) is not set");
        let error = pick(&[("K_SINK", "nowhere")]).unwrap_err();
        assert_eq!(error.to_string(), "K_SINK is not a URL");
    }

    #[test]
    fn a_number_has_a_default() {
        assert_eq!(parse_number("RATE", None, 7, &(1..=10)).unwrap(), 7);
        let given = parse_number("RATE", Some("10".to_owned()), 7, &(1..=10));
        assert_eq!(given.unwrap(), 10);
    }

    #[test]
    fn a_secret_is_read_from_its_file_and_never_shown() {
        let path = std::env::temp_dir().join(format!("spike-secret-{}", std::process::id()));
        std::fs::write(&path, "hunter2\n").unwrap();
        let secret = read_secret("KEY_FILE".to_owned(), path.clone()).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(secret.expose(), "hunter2");
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        let error = read_secret("KEY_FILE".to_owned(), path).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the file that KEY_FILE names cannot be read"
        );
    }
}
