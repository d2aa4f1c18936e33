use std::{cell::Cell, future::pending};

use domain::{Currency, Money, SpikeId, spike::Settings};
use tokio::time::{advance, sleep};

use super::*;

const EVERY: Duration = Duration::from_secs(5);
const WITHIN: Duration = Duration::from_secs(50);

/// When the rounds began, in seconds after the run, and when it was over.
async fn rounds(
    repeat: &Repeat,
    sells: impl Fn(Duration) -> Sells,
    takes: Duration,
) -> (Vec<u64>, u64) {
    let begun_at = Instant::now();
    let mut begun = Vec::new();
    let mut rounds = repeat.rounds(begun_at);
    while rounds.next(&sells).await {
        begun.push(begun_at.elapsed().as_secs());
        let _ = timeout_at(rounds.end(), sleep(takes)).await;
    }
    (begun, begun_at.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn an_open_sale_is_published_from_every_five_seconds_for_fifty() {
    let repeat = Repeat::new(EVERY, WITHIN, pending());
    let (rounds, secs) = rounds(&repeat, |_| Sells::Now, Duration::ZERO).await;
    assert_eq!(rounds, [5, 10, 15, 20, 25, 30, 35, 40, 45, 50]);
    assert_eq!(secs, 50);
}

#[tokio::test(start_paused = true)]
async fn slow_rounds_do_not_pile_up_and_the_last_one_is_cut_short() {
    let repeat = Repeat::new(EVERY, WITHIN, pending());
    let (rounds, secs) = rounds(&repeat, |_| Sells::Now, Duration::from_secs(20)).await;
    assert_eq!(rounds, [5, 25, 45]);
    assert_eq!(secs, 58, "within the 59 s that there are");
}

#[tokio::test(start_paused = true)]
async fn without_a_sale_nothing_is_repeated() {
    let repeat = Repeat::new(EVERY, WITHIN, pending());
    let done = rounds(&repeat, |_| Sells::Never, Duration::ZERO).await;
    assert_eq!(done, (vec![], 0));
    let none = Repeat::new(EVERY, Duration::ZERO, pending());
    let done = rounds(&none, |_| Sells::Now, Duration::ZERO).await;
    assert_eq!(done, (vec![], 0));
}

#[tokio::test(start_paused = true)]
async fn a_run_goes_on_until_the_sale_is_over() {
    let repeat = Repeat::new(EVERY, WITHIN, pending());
    let begun_at = Instant::now();
    let sells = |_| match begun_at.elapsed().as_secs() {
        0..17 => Sells::Now,
        _ => Sells::Never,
    };
    let done = rounds(&repeat, sells, Duration::ZERO).await;
    assert_eq!(done, (vec![5, 10, 15], 20));
}

#[tokio::test(start_paused = true)]
async fn a_sale_that_opens_during_a_run_is_waited_for() {
    let repeat = Repeat::new(EVERY, WITHIN, pending());
    let begun_at = Instant::now();
    let asked = Cell::new(0);
    let sells = |left: Duration| {
        asked.set(asked.get() + 1);
        let opens_in = Duration::from_secs(33).saturating_sub(begun_at.elapsed());
        match opens_in {
            Duration::ZERO => Sells::Now,
            _ if opens_in <= left => Sells::Later,
            _ => Sells::Never,
        }
    };
    let done = rounds(&repeat, sells, Duration::ZERO).await;
    assert_eq!(done, (vec![35, 40, 45, 50], 50));
    assert!(asked.get() > 10);
}

#[tokio::test(start_paused = true)]
async fn no_round_begins_after_a_stop() {
    let repeat = Repeat::new(EVERY, WITHIN, sleep(Duration::from_secs(12)));
    let done = rounds(&repeat, |_| Sells::Now, Duration::ZERO).await;
    assert_eq!(done, (vec![5, 10], 12));
    // The next run of a process that stops is over at once.
    advance(Duration::from_secs(1)).await;
    let done = rounds(&repeat, |_| Sells::Now, Duration::ZERO).await;
    assert_eq!(done, (vec![], 0));
}

#[test]
fn a_spike_sells_from_its_start_to_its_end_and_paused_too() {
    let ms = Timestamp::from_millis;
    let settings = Settings {
        name: "Shoes".to_owned(),
        description: String::new(),
        stock: 1,
        limit_per_user: 1,
        price: Money {
            amount_minor: 1,
            currency: "EUR".parse::<Currency>().unwrap(),
        },
        starts_at: ms(10_000),
        ends_at: ms(20_000),
        pay_within_secs: 900,
        rules: Vec::new(),
        expected_buyers: None,
    };
    let spike = Spike::new(SpikeId::mint(ms(1), [7; 10]), settings, ms(1));
    let left = Duration::from_secs(5);
    for (now, expected) in [
        (4_999, Sells::Never),
        (5_000, Sells::Later),
        (9_999, Sells::Later),
        (10_000, Sells::Now),
        (19_999, Sells::Now),
        (20_000, Sells::Never),
    ] {
        let found = sells(std::slice::from_ref(&spike), ms(now), left);
        assert_eq!(found, expected, "at {now}");
    }
    let mut paused = spike.clone();
    paused.paused = true;
    assert_eq!(sells(&[paused], ms(15_000), left), Sells::Now);
    let mut closed = spike.clone();
    closed.closed = true;
    assert_eq!(sells(&[closed], ms(15_000), left), Sells::Never);
    assert_eq!(sells(&[], ms(15_000), left), Sells::Never);
}
