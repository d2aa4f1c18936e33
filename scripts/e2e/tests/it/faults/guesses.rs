//! Guessing: path tokens, passwords, names, and what a forged token might make the system fetch.

use std::time::Duration;

use auth::refresh_token;
use domain::OrderId;
use e2e::client::{Answer, Call};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::stage::{PASSWORD, Stage, new_name, now, stage, until};

/// How many guesses are made of each secret.
const GUESSES: usize = 300;
/// Of them at a time.
const AT_ONCE: usize = 16;
/// In which whoever wants to fetch something begins to.
const A_MOMENT: Duration = Duration::from_millis(300);

fn part(json: &Value) -> String {
    // Base64url by hand: three bytes are four letters.
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bytes = json.to_string().into_bytes();
    let letters = bytes.chunks(3).flat_map(|chunk| {
        let number = [0, 1, 2].iter().fold(0_usize, |number, at| {
            number << 8 | usize::from(chunk.get(*at).copied().unwrap_or(0))
        });
        (0..=chunk.len()).map(move |at| LETTERS[number >> (18 - 6 * at) & 63] as char)
    });
    letters.collect()
}

#[tokio::test]
async fn fault_25_no_header_of_a_token_makes_the_system_fetch_anything() {
    let stage = stage().await;
    let witness = stage.witness().await;
    let attacker = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys.json", attacker.local_addr().unwrap());
    for name in ["jku", "x5u", "kid", "iss"] {
        let header = json!({ "typ": "at+jwt", "alg": "RS256", "kid": "attacker", name: url });
        let claims = json!({ "iss": url, "sub": stage.admin.user_id, "aud": "spike", "exp": i64::MAX, "roles": ["admin"] });
        let token = format!("{}.{}.{}", part(&header), part(&claims), "A".repeat(342));
        for path in ["/orders", "/admin/users"] {
            let answer = stage.send(Call::get(path).bearer(&token)).await;
            answer.expect("401 unauthorized");
        }
    }
    // Nor a moment later, behind the answers' back.
    let asked = tokio::time::timeout(A_MOMENT, attacker.accept()).await;
    assert!(asked.is_err(), "it was asked");
    witness.finds_all_well().await;
}

#[tokio::test]
async fn fault_31_guesses_of_the_path_token_are_told_what_unknown_spikes_are_told_and_run_out() {
    let stage = stage().await;
    let spike = stage.sale(json!({})).await;
    let (guesser, buyer) = (stage.person().await, stage.person().await);
    let true_one = stage.path_token(&guesser, &spike).await;
    let of_another = stage.path_token(&buyer, &spike).await;
    let unknown = OrderId::mint(now(), auth::random());
    let patient = async |spike: &str, guess: &str| -> Answer {
        let path = format!("/spikes/{spike}/orders/{guess}");
        let asked = async || {
            let call = Call::post(&path)
                .bearer(&guesser.token)
                .json(&json!({ "quantity": 1 }));
            let answer = stage.send(call).await;
            (!matches!(answer.status.as_u16(), 429 | 503)).then_some(answer)
        };
        until("an answer to a guess", asked).await
    };
    let plain = patient(&unknown.to_string(), &true_one)
        .await
        .expect("404 bad-token");
    for guess in [
        of_another.as_str(),
        &true_one[..21],
        &format!("{true_one}A"),
        &true_one
            .to_ascii_lowercase()
            .replace(|it: char| it.is_ascii_digit(), "x"),
        "AAAAAAAAAAAAAAAAAAAAAA",
        "%00",
        "' OR 1=1",
    ] {
        let answer = patient(&spike, guess).await.expect("404 bad-token");
        assert_eq!(answer.body, plain.body, "{guess}");
        assert_eq!(names(&answer), names(&plain), "{guess}");
    }
    // Many at once: each is refused, and most are not even looked at.
    let tries = stream::iter(0..GUESSES).map(|_| {
        let guess = refresh_token::mint().text;
        let path = format!("/spikes/{spike}/orders/{}", &guess[..22]);
        stage.send(
            Call::post(path)
                .bearer(&guesser.token)
                .json(&json!({ "quantity": 1 })),
        )
    });
    let outcomes: Vec<String> = tries
        .buffer_unordered(AT_ONCE)
        .map(|it| it.outcome())
        .collect()
        .await;
    let refused = |outcome: &String| {
        ["404 bad-token", "429 slow-down", "503 busy"].contains(&outcome.as_str())
    };
    assert!(outcomes.iter().all(refused), "{outcomes:?}");
    assert!(
        outcomes.iter().any(|it| it == "429 slow-down"),
        "{outcomes:?}"
    );
    // Neither the other buyer nor the sale suffers from it.
    stage.buy(&buyer, &spike, 1).await;
    let stats = stage.at_rest(&spike).await;
    assert_eq!(stats["store"]["held"], 1, "{stats}");
}

/// Which header fields an answer has.
fn names(answer: &Answer) -> Vec<String> {
    answer.headers.keys().map(ToString::to_string).collect()
}

#[tokio::test]
async fn fault_32_unknown_names_and_wrong_passwords_get_the_same_answers_and_the_same_waits() {
    let stage = stage().await;
    let witness = stage.witness().await;
    let (known, unknown) = (new_name(), new_name());
    stage.register(&known).await.expect("201");
    let (mut of_known, mut of_unknown) = (Vec::new(), Vec::new());
    for (name, answers) in [(&known, &mut of_known), (&unknown, &mut of_unknown)] {
        for _ in 0..7 {
            answers.push(guess(&stage, name, "not the password").await);
        }
    }
    for (known, unknown) in of_known.iter().zip(&of_unknown) {
        if known.outcome() == unknown.outcome() {
            assert_eq!(known.body, unknown.body);
            assert_eq!(names(known), names(unknown));
        }
    }
    for answers in [&of_known, &of_unknown] {
        let first = answers.iter().take(5).map(Answer::outcome);
        assert!(
            first.clone().all(|it| it == "401 bad-credentials"),
            "{answers:?}"
        );
        let slowed = answers.iter().find(|it| it.outcome() == "429 slow-down");
        assert!(
            slowed.is_some_and(|it| it.header("retry-after").is_some()),
            "{answers:?}"
        );
    }
    // Others log in meanwhile, and the account itself does once the wait is over.
    let other = new_name();
    stage.register(&other).await.expect("201");
    guess(&stage, &other, PASSWORD).await.expect("200");
    let back = async || {
        let answer = guess(&stage, &known, PASSWORD).await;
        (answer.outcome() != "429 slow-down").then_some(answer)
    };
    until("the wait is over", back).await.expect("200");
    witness.finds_all_well().await;
}

/// One login; whoever is told that the passwords wait in line tries again.
async fn guess(stage: &Stage, username: &str, password: &str) -> Answer {
    let tried = async || {
        let call =
            Call::post("/users/login").json(&json!({ "username": username, "password": password }));
        let answer = stage.send(call).await;
        (answer.outcome() != "503 busy").then_some(answer)
    };
    until("an answer to a login", tried).await
}

#[tokio::test]
async fn fault_32_buyers_buy_while_passwords_are_guessed() {
    let stage = stage().await;
    let (buyer, spike) = (stage.person().await, stage.sale(json!({})).await);
    let guessing = stream::iter(0..GUESSES).map(|number| {
        let call = json!({ "username": new_name(), "password": format!("guess number {number}") });
        stage.send(Call::post("/users/login").json(&call))
    });
    let guessing = guessing
        .buffer_unordered(AT_ONCE)
        .map(|it| it.outcome())
        .collect();
    let (outcomes, order): (Vec<String>, _) = tokio::join!(guessing, stage.buy(&buyer, &spike, 1));
    let refused =
        |outcome: &String| ["401 bad-credentials", "503 busy"].contains(&outcome.as_str());
    assert!(outcomes.iter().all(refused), "{outcomes:?}");
    stage.state(&buyer, &order, "placed").await;
    stage.at_rest(&spike).await;
}
