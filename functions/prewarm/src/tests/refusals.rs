//! A cluster or a store that is away, busy, changed by others, or not ours to change.

use super::*;

#[tokio::test]
async fn a_change_by_somebody_else_is_read_and_the_patch_made_anew() {
    let rig = Rig::new().await;
    rig.spike(Some(500)).await;
    rig.cluster.inside().rivals = 2;
    assert_eq!(rig.outcome(-5).await, (5, Outcome::Raised));
    assert_eq!(rig.cluster.scale("spike"), (json!("5"), json!(NOTE)));
}

#[tokio::test]
async fn a_service_that_others_change_without_end_is_a_503() {
    let rig = Rig::new().await;
    rig.spike(Some(500)).await;
    rig.cluster.inside().rivals = 3;
    rig.at(-5).await.assert_problem(503, "unavailable");
    assert_eq!(rig.cluster.scale("spike"), (json!("1"), Value::Null));
    assert_eq!(
        rig.cluster.scale("access-check").0,
        "5",
        "the others are seen to"
    );
}

#[tokio::test]
async fn each_refusal_has_its_status_and_stops_no_other_function() {
    let cases = [
        (403, "services \"spike\" is forbidden", 500, "internal"),
        (404, "not found", 500, "internal"),
        (400, "admission webhook denied the request", 500, "internal"),
        (200, "not a Service", 500, "internal"),
        (429, "too many requests", 503, "unavailable"),
        (500, "etcdserver: request timed out", 503, "unavailable"),
        (503, "shutting down", 503, "unavailable"),
    ];
    for (answered, text, status, code) in cases {
        let rig = Rig::new().await;
        rig.spike(Some(500)).await;
        rig.cluster.inside().broken = Some(("spike", answered, text));
        let answer = rig.at(-5).await;
        answer.assert_problem(status, code);
        assert!(!answer.body.to_string().contains(text), "it is for the log");
        assert_eq!(rig.cluster.scale("spike").0, "1");
        assert_eq!(rig.cluster.scale("spike-token").0, "5", "{answered}");
    }
}

#[tokio::test]
async fn a_token_that_was_replaced_is_read_again() {
    let rig = Rig::new().await;
    rig.spike(Some(500)).await;
    let state = rig.state();
    call(state.clone()).await.assert_json();
    rig.cluster.rotate("second");
    call(state.clone()).await.assert_json();
    std::fs::write(rig.cluster.token_file(), "first").unwrap();
    call(state.clone()).await.assert_problem(500, "internal");
    std::fs::remove_file(rig.cluster.token_file()).unwrap();
    call(state).await.assert_problem(500, "internal");
}

#[tokio::test]
async fn an_api_server_with_another_certificate_is_not_spoken_to() {
    let rig = Rig::new().await;
    let other = Cluster::of(&[]).await;
    let capacity = Knative::new(
        &rig.cluster.url.parse().unwrap(),
        other.ca_pem.as_bytes(),
        "shop",
        rig.cluster.token_file(),
    );
    let state = AppState {
        capacity: Arc::new(capacity.unwrap()),
        ..rig.state()
    };
    call(state).await.assert_problem(503, "unavailable");
}

#[test]
fn an_authority_that_is_none_is_refused_at_the_start() {
    let api = "https://127.0.0.1:1".parse().unwrap();
    assert!(Knative::new(&api, b"no certificate", "shop", "token").is_err());
}

#[tokio::test]
async fn a_store_that_is_away_is_a_503() {
    let rig = Rig::new().await;
    let nobody = store::connect(&"dynamodb+http://127.0.0.1:1".parse().unwrap()).await;
    let state = AppState {
        store: nobody.unwrap(),
        ..rig.state()
    };
    call(state).await.assert_problem(503, "unavailable");
    assert_eq!(rig.cluster.inside().patches, 0);
}
