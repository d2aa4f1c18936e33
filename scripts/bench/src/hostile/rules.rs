//! Row 29: rules that nobody should save.

use std::time::Duration;

use anyhow::ensure;
use domain::Rule;
use tokio::time::Instant;

use super::resident_mib;
use crate::compare::{Bound, Finding};

/// How often every rule bomb is compiled.
const COMPILED: usize = 20;

/// Row 29: how long refusing a bomb takes, and what it leaves resident.
pub(super) async fn bombs() -> anyhow::Result<Vec<Finding>> {
    let deep =
        |open: &str, close: &str, times| format!("{}1{}", open.repeat(times), close.repeat(times));
    let bombs = [
        ("125 brackets", "[".repeat(125)),
        ("depth 200", deep("(", ")", 200)),
        ("calls of depth 200", deep("size(", ")", 200)),
        ("nested map", deep("[1].map(x, ", ")", 12)),
        (
            "nested lists",
            "user.attributes.l.map(a, user.attributes.l.map(b, user.attributes.l.map(c, a))) == []"
                .to_owned(),
        ),
        (
            "nested filter",
            "user.attributes.l.filter(a, user.attributes.l.filter(b, a == b) == []) == []"
                .to_owned(),
        ),
        ("1 MB of source", "true ||".repeat(1 << 17)),
        (
            "a large pattern",
            "user.attributes.t.matches('(x{100}){100}')".to_owned(),
        ),
        (
            "a catastrophic pattern",
            "user.attributes.t.matches('(((((a*)*)*)*)*)*$' + user.attributes.p)".to_owned(),
        ),
        ("many operators", vec!["1"; 60].join(" + ")),
    ];
    let id = std::process::id();
    let before = resident_mib(id).await?;
    let (mut slowest, mut most) = (("", Duration::ZERO), before);
    for (name, bomb) in &bombs {
        let rules = [Rule {
            name: (*name).to_owned(),
            allow_if: bomb.clone(),
            reason: "No.".to_owned(),
        }];
        for _ in 0..COMPILED {
            let begun_at = Instant::now();
            ensure!(access::compile(&rules).await.is_err(), "{name} is accepted");
            let took = begun_at.elapsed();
            if took > slowest.1 {
                slowest = (name, took);
            }
        }
        most = most.max(resident_mib(id).await?);
    }
    let details = format!(
        "the slowest of {} bombs, {COMPILED} times each: {}",
        bombs.len(),
        slowest.0
    );
    let time = slowest.1.as_secs_f64() * 1e3;
    Ok(vec![
        Finding::new(
            "29 ms until a rule bomb is refused",
            time,
            Bound::Most(100.0),
            details,
        ),
        Finding::new(
            "29 MiB more, after the rule bombs",
            most - before,
            Bound::Most(16.0),
            format!("{before:.1} MiB before"),
        ),
    ])
}
