//! The sink against a receiver that acknowledges, refuses, hangs, or drops the connection.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes as Body,
    extract::{ConnectInfo, State},
    http::{HeaderMap, StatusCode},
    routing::post,
};
use tokio::{io::AsyncReadExt, net::TcpListener};

use super::*;
use crate::conformance;

/// What a receiver has seen: the events, and the ports that they came from.
#[derive(Default)]
struct Seen {
    events: Mutex<Vec<OrderPlaced>>,
    ports: Mutex<HashSet<u16>>,
}

/// A receiver that refuses `poison` and answers everything else with `status` and a body.
async fn receiver(status: StatusCode, poison: Option<OrderPlaced>) -> (HttpSink, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let take = async move |State(seen): State<Arc<Seen>>,
                           ConnectInfo(from): ConnectInfo<SocketAddr>,
                           headers: HeaderMap,
                           body: Body| {
        let event = envelope::read(&headers, &body).unwrap();
        if Some(&event) == poison.as_ref() {
            return (StatusCode::BAD_REQUEST, "poison");
        }
        seen.events.lock().unwrap().push(event);
        seen.ports.lock().unwrap().insert(from.port());
        (status, "taken note of")
    };
    let router = Router::new()
        .route("/ingress", post(take))
        .with_state(Arc::clone(&seen));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sink = sink_to(listener.local_addr().unwrap());
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    (sink, seen)
}

fn sink_to(address: SocketAddr) -> HttpSink {
    HttpSink::new(&format!("http://{address}/ingress").parse().unwrap()).unwrap()
}

/// A receiver that reads what comes, and then closes the connection or keeps it without a word.
async fn silent(hang: bool) -> HttpSink {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sink = sink_to(listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = vec![0; 16 * 1024];
            let _ = socket.read(&mut request).await;
            if hang {
                kept.push(socket);
            }
        }
    });
    sink
}

#[tokio::test]
async fn what_is_acknowledged_has_arrived() {
    let (sink, seen) = receiver(StatusCode::ACCEPTED, None).await;
    let arrived = async || seen.events.lock().unwrap().clone();
    conformance::what_is_acknowledged_has_arrived(&sink, arrived).await;
}

#[tokio::test]
async fn connections_are_reused() {
    let (sink, seen) = receiver(StatusCode::ACCEPTED, None).await;
    for number in 0..20 {
        let sent = sink.send(&[conformance::event(number)]).await;
        assert!(sent[0].is_ok());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let connections = seen.ports.lock().unwrap().len();
    assert!(
        connections < 20,
        "{connections} connections for 20 sends one after the other"
    );
}

#[tokio::test]
async fn a_refusal_is_no_acknowledgement() {
    for status in [
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::FORBIDDEN,
        StatusCode::FOUND,
    ] {
        let (sink, _) = receiver(status, None).await;
        conformance::a_refusal_is_no_acknowledgement(&sink).await;
    }
}

#[tokio::test]
async fn fault_07_neighbours_of_a_refused_event_are_unharmed() {
    let poison = conformance::event(5);
    let (sink, _) = receiver(StatusCode::OK, Some(poison.clone())).await;
    conformance::neighbours_of_a_refused_event_are_unharmed(&sink, &poison).await;
}

#[tokio::test]
async fn fault_03_a_hang_is_no_acknowledgement() {
    conformance::silence_is_no_acknowledgement(&silent(true).await).await;
}

#[tokio::test]
async fn fault_03_a_dropped_connection_is_no_acknowledgement() {
    conformance::silence_is_no_acknowledgement(&silent(false).await).await;
}

#[tokio::test]
async fn fault_04_a_broker_that_is_away_is_unconfirmed_and_found_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let sink = sink_to(address);
    for _ in 0..5 {
        conformance::silence_is_no_acknowledgement(&sink).await;
    }
    let refused = sink.send(&[conformance::event(1)]).await;
    let Err(SendError::Unconfirmed(why)) = &refused[0] else {
        panic!("{refused:?}");
    };
    assert!(why.is::<Open>(), "the breaker spares the wait: {why}");

    let listener = TcpListener::bind(address).await.unwrap();
    let router = Router::new().route("/ingress", post(async || StatusCode::ACCEPTED));
    tokio::spawn(async move { axum::serve(listener, router).await });
    while sink.send(&[conformance::event(1)]).await[0].is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn other_schemes_are_refused() {
    for url in ["https://broker/", "sqs://queue", "file:///tmp"] {
        let error = crate::connect(&url.parse().unwrap()).await.err().unwrap();
        assert!(matches!(error, ConnectError::Scheme(_)), "{url}");
    }
}
