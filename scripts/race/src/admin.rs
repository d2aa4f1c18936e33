//! What the race does as an admin: accounts, the spike, its figures.

use anyhow::{Context as _, bail};
use domain::{SpikeId, spike::Settings};
use http::HeaderValue;
use serde::Deserialize;
use serde_json::json;

use crate::{
    api::{self, Imported, Stats, Tokens},
    client::{Client, Request},
};

/// An admin who is logged in.
pub struct Admin<'a> {
    client: &'a Client,
    bearer: HeaderValue,
}

impl<'a> Admin<'a> {
    /// Logs in with `USER:PASSWORD`, or with what the first line of the file after an `@` says: the same, or the password
    /// of `admin` alone.
    pub async fn login(client: &'a Client, credentials: &str) -> anyhow::Result<Self> {
        let (username, password) = parse(credentials)?;
        let tokens = login(client, &username, &password)
            .await
            .context("the admin's login")?;
        Ok(Self {
            client,
            bearer: api::bearer(&tokens.access_token)?,
        })
    }

    /// Creates or amends the accounts of `lines` (NDJSON).
    pub async fn import(&self, lines: String) -> anyhow::Result<Imported> {
        let request = Request::post("/admin/users/import")
            .bearer(&self.bearer)
            .body("application/x-ndjson", lines);
        let answer = self.client.send(&request).await?.success("the import")?;
        let imported: Imported = answer.json()?;
        if let Some(failed) = imported.failed.first() {
            bail!(
                "the import refused line {}: {}",
                failed.line,
                failed.problem
            );
        }
        Ok(imported)
    }

    /// Creates a spike.
    pub async fn create_spike(&self, settings: &Settings) -> anyhow::Result<SpikeId> {
        #[derive(Deserialize)]
        struct Created {
            spike_id: SpikeId,
        }
        let request = Request::post("/admin/spikes")
            .bearer(&self.bearer)
            .json(&serde_json::to_value(settings)?);
        let answer = self.client.send(&request).await?;
        let created: Created = answer.success("POST /admin/spikes")?.json()?;
        Ok(created.spike_id)
    }

    /// The spike's figures.
    pub async fn stats(&self, spike_id: SpikeId) -> anyhow::Result<Stats> {
        let request = Request::get(format!("/admin/spikes/{spike_id}/stats")).bearer(&self.bearer);
        let answer = self.client.send(&request).await?;
        answer.success("the spike's stats")?.json()
    }
}

fn parse(credentials: &str) -> anyhow::Result<(String, String)> {
    let text = match credentials.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path).with_context(|| format!("--admin {path}"))?,
        None => credentials.to_owned(),
    };
    let line = text.lines().next().unwrap_or_default().trim();
    match line.split_once(':') {
        Some((username, password)) => Ok((username.to_owned(), password.to_owned())),
        None if credentials.starts_with('@') => Ok(("admin".to_owned(), line.to_owned())),
        None => bail!("--admin takes USER:PASSWORD or @FILE"),
    }
}

/// Logs in.
pub async fn login(client: &Client, username: &str, password: &str) -> anyhow::Result<Tokens> {
    let credentials = json!({ "username": username, "password": password });
    loop {
        let answer = client
            .send(&Request::post("/users/login").json(&credentials))
            .await?;
        // Hashing is bounded at the server; who comes too soon comes again.
        if [429, 503].contains(&answer.status.as_u16()) {
            let wait = answer.retry_after().unwrap_or_default();
            tokio::time::sleep(wait.max(std::time::Duration::from_millis(200))).await;
            continue;
        }
        return answer.success("POST /users/login")?.json();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_come_from_the_command_line_or_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("admin");
        let at_file = format!("@{}", file.display());
        let pair = |user: &str, password: &str| (user.to_owned(), password.to_owned());
        assert_eq!(parse("ada:a:b").unwrap(), pair("ada", "a:b"));
        assert!(parse("ada").is_err());
        assert!(parse(&at_file).is_err());
        std::fs::write(&file, "ada:secret\n").unwrap();
        assert_eq!(parse(&at_file).unwrap(), pair("ada", "secret"));
        std::fs::write(&file, "secret\n").unwrap();
        assert_eq!(parse(&at_file).unwrap(), pair("admin", "secret"));
    }
}
