//! Row 31: a million guesses of the path token of a sale that is open.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, ensure};
use domain::{Money, spike::Settings};
use race::client::{Client, Request};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{GUESSERS, Target};
use crate::compare::{Bound, Finding, aba};

/// How many guesses are made, whatever they are answered with.
const GUESSES: usize = 1_000_000;
/// How many looks a user has a second, by the limit that is shipped.
const LOOKS_PER_SEC: f64 = 5.0;
/// Bytes of a path token before they are encoded.
const TOKEN_BYTES: usize = 16;

/// What honest buyers notice of the guesses, and how many of these are looked at.
pub(super) async fn guesses(target: &Target) -> anyhow::Result<Vec<Finding>> {
    let path = open_sale(target).await?;
    let (mut outcomes, mut guessing) = (BTreeMap::new(), Duration::ZERO);
    let compared = aba(
        "31 honest p99, ms",
        async || target.honest_p99().await,
        async || {
            let (begun_at, guesses) = (Instant::now(), Guesses::begin(target, &path)?);
            sleep(Duration::from_millis(500)).await;
            let p99 = target.honest_p99().await?;
            outcomes = guesses.end().await?;
            guessing = begun_at.elapsed();
            Ok(p99)
        },
    )
    .await?;
    let made: usize = outcomes.values().sum();
    ensure!(made == GUESSES, "{made} answers to {GUESSES} guesses");
    let refusals = ["404 bad-token", "429 slow-down", "503 busy"];
    let refused = outcomes.keys().all(|it| refusals.contains(&it.as_str()));
    ensure!(refused, "a guess was answered otherwise: {outcomes:?}");
    let looked_at = outcomes.get("404 bad-token").copied().unwrap_or_default();
    let rate = f64::from(u32::try_from(looked_at)?) / guessing.as_secs_f64();
    let details = format!(
        "{:.2} ms over {:.2} ms, {GUESSERS} guessers",
        compared.b, compared.a
    );
    let honest = Finding::new(
        "31 honest p99 while path tokens are guessed",
        compared.ratio(),
        Bound::Most(2.0),
        details,
    );
    Ok(vec![
        honest.noisy(compared.noisy),
        Finding::new(
            "31 guesses a second that are looked at, of one user",
            rate,
            // The first second's are there from the start.
            Bound::Most(LOOKS_PER_SEC * (1.0 + 1.0 / guessing.as_secs_f64())),
            format!(
                "{GUESSES} guesses in {:.0} s: {outcomes:?}",
                guessing.as_secs_f64()
            ),
        ),
    ])
}

/// A million guesses, under way.
struct Guesses(JoinSet<anyhow::Result<BTreeMap<String, usize>>>);

impl Guesses {
    fn begin(target: &Target, path: &str) -> anyhow::Result<Self> {
        let client = Arc::new(Client::new(&target.base_url, GUESSERS)?);
        let made = Arc::new(AtomicUsize::new(0));
        let mut guessers = JoinSet::new();
        for _ in 0..GUESSERS {
            let (client, made) = (Arc::clone(&client), Arc::clone(&made));
            let (bearer, path) = (target.bearer.clone(), path.to_owned());
            guessers.spawn(async move {
                let mut outcomes = BTreeMap::new();
                while made.fetch_add(1, Ordering::Relaxed) < GUESSES {
                    let guess = Request::post(format!("{path}/{}", guess()));
                    let answer = client.send(&guess.json(&json!({})).bearer(&bearer)).await?;
                    *outcomes.entry(answer.outcome()).or_default() += 1;
                }
                Ok(outcomes)
            });
        }
        Ok(Self(guessers))
    }

    /// Waits for the last; how often each answer was given.
    async fn end(self) -> anyhow::Result<BTreeMap<String, usize>> {
        let mut outcomes = BTreeMap::new();
        for guesser in self.0.join_all().await {
            for (outcome, count) in guesser? {
                *outcomes.entry(outcome).or_default() += count;
            }
        }
        Ok(outcomes)
    }
}

/// A text that looks like a token: as long, of the same letters.
fn guess() -> String {
    let text = auth::refresh_token::mint().text;
    text[..(TOKEN_BYTES * 4).div_ceil(3)].to_owned()
}

/// Opens a sale; where its orders are placed.
async fn open_sale(target: &Target) -> anyhow::Result<String> {
    let now = runtime::clock::system()();
    let settings = Settings {
        name: "To be guessed at".to_owned(),
        description: String::new(),
        stock: 100,
        limit_per_user: 1,
        price: Money {
            amount_minor: 4900,
            currency: "EUR".parse()?,
        },
        starts_at: now - Duration::from_secs(1),
        ends_at: now + Duration::from_hours(1),
        pay_within_secs: 900,
        rules: Vec::new(),
        expected_buyers: None,
    };
    let request = Request::post("/admin/spikes").json(&serde_json::to_value(settings)?);
    let client = Client::new(&target.base_url, 1)?;
    let made = client.send(&request.bearer(&target.bearer)).await?;
    let made: Value = made.success("POST /admin/spikes")?.json()?;
    let spike_id = made["spike_id"].as_str().context("no spike_id")?;
    Ok(format!("/spikes/{spike_id}/orders"))
}
