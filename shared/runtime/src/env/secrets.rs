//! Secrets that the environment gives by their names in Secrets Manager (ADR 25).
//!
//! `NAME_SECRET` is the ARN of a secret, or several with commas between them; their texts, one to a line, are `NAME`.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use aws::{Service, secrets::Secrets};

use crate::clock;

/// How the variables end that name secrets.
const SUFFIX: &str = "_SECRET";
/// How the name of a secret begins. Other variables that end so are somebody else's.
const ARN: &str = "arn:";

/// The names that are wanted, each with its secrets' ARNs.
type Named = Vec<(String, String)>;

/// What the environment names. What it also gives itself, or as a file, is not asked for.
pub(super) fn named() -> Named {
    let variables = std::env::vars_os();
    let texts = variables
        .filter_map(|(name, value)| Some((name.to_str()?.to_owned(), value.to_str()?.to_owned())));
    among(&texts.collect())
}

fn among(variables: &HashMap<String, String>) -> Named {
    let is_given = |name: &str| {
        let given = variables
            .get(name)
            .or_else(|| variables.get(&format!("{name}_FILE")));
        given.is_some_and(|text| !text.is_empty())
    };
    let named = variables.iter().filter_map(|(name, arns)| {
        let name = name.strip_suffix(SUFFIX)?;
        (arns.starts_with(ARN) && !is_given(name)).then(|| (name.to_owned(), arns.clone()))
    });
    let mut named: Named = named.collect();
    named.sort();
    named
}

/// Reads them, all at the same time.
pub(super) async fn read(named: &Named) -> anyhow::Result<HashMap<String, String>> {
    if named.is_empty() {
        return Ok(HashMap::new());
    }
    let secrets = Secrets::new(aws::credentials()?, aws::endpoint(Service::SecretsManager)?)?;
    read_from(&secrets, named).await
}

async fn read_from(secrets: &Secrets, named: &Named) -> anyhow::Result<HashMap<String, String>> {
    let arns: Vec<&str> = named
        .iter()
        .flat_map(|(_, arns)| arns.split(','))
        .map(str::trim)
        .collect();
    let ms = u64::try_from((clock::system())().as_millis())?;
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(ms);
    let wanted = || {
        named
            .iter()
            .map(|(name, _)| name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let texts = secrets.read(&arns, now).await;
    let mut texts = texts
        .with_context(|| format!("cannot read {}", wanted()))?
        .into_iter();
    let joined = named.iter().map(|(name, arns)| {
        let parts: Vec<_> = texts.by_ref().take(arns.split(',').count()).collect();
        let parts: Vec<_> = parts
            .iter()
            .map(|text| text.trim_end_matches(['\r', '\n']))
            .collect();
        (name.clone(), parts.join("\n"))
    });
    Ok(joined.collect())
}

#[cfg(test)]
mod tests;
