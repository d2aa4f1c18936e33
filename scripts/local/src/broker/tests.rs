use std::sync::Mutex;

use axum::{Router, extract::State, routing::post};
use events::conformance::{self, event};
use http::StatusCode;
use runtime::extract::Bytes as Body;

use super::*;

type Script = dyn Fn(&OrderPlaced, usize) -> StatusCode + Send + Sync;
/// What was buried, and why.
type Buried = (Vec<u8>, String);

/// A subscriber that answers as `script` says: the event's id and how often it has come to the status.
#[derive(Clone)]
struct Far {
    seen: Arc<Mutex<Vec<(OrderPlaced, tokio::time::Instant)>>>,
    buried: Arc<Mutex<Vec<Buried>>>,
    script: Arc<Script>,
    grave: Arc<Mutex<Vec<StatusCode>>>,
}

impl Far {
    fn new(script: impl Fn(&OrderPlaced, usize) -> StatusCode + Send + Sync + 'static) -> Self {
        Self {
            seen: Arc::default(),
            buried: Arc::default(),
            script: Arc::new(script),
            grave: Arc::default(),
        }
    }

    fn app(&self) -> runtime::App {
        let router = Router::new()
            .route("/events/order-placed", post(deliver))
            .route(
                "/events/dead-letter",
                post(bury).layer(runtime::limit::body(1024 * 1024)),
            );
        runtime::app(router.with_state(self.clone()))
    }

    fn broker(&self, limits: Limits) -> Broker {
        let subscriber = Subscriber::inside(self.app(), "/events/order-placed");
        Broker::new(
            limits,
            subscriber,
            Subscriber::inside(self.app(), "/events/dead-letter"),
        )
    }

    /// What has been delivered when the broker holds nothing any more.
    async fn arrived(&self, broker: &Broker) -> Vec<OrderPlaced> {
        assert!(broker.drain(LONG).await);
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|(event, _)| event.clone()).collect()
    }

    fn times_seen(&self, event: &OrderPlaced) -> usize {
        self.seen
            .lock()
            .unwrap()
            .iter()
            .filter(|(seen, _)| seen == event)
            .count()
    }
}

async fn deliver(State(far): State<Far>, headers: HeaderMap, Body(body): Body) -> StatusCode {
    let Ok(event) = envelope::read(&headers, &body) else {
        return StatusCode::BAD_REQUEST;
    };
    far.seen
        .lock()
        .unwrap()
        .push((event.clone(), tokio::time::Instant::now()));
    (far.script)(&event, far.times_seen(&event))
}

async fn bury(State(far): State<Far>, headers: HeaderMap, Body(body): Body) -> StatusCode {
    if let Some(status) = far.grave.lock().unwrap().pop() {
        return status;
    }
    let reason = headers[REASON].to_str().unwrap().to_owned();
    far.buried.lock().unwrap().push((body.to_vec(), reason));
    StatusCode::NO_CONTENT
}

const LONG: Duration = Duration::from_hours(1);

#[tokio::test(start_paused = true)]
async fn it_keeps_the_promises_of_a_sink() {
    let far = Far::new(|_, _| StatusCode::NO_CONTENT);
    let broker = far.broker(Limits::default());
    let arrived = async || far.arrived(&broker).await;
    conformance::what_is_acknowledged_has_arrived(&broker, arrived).await;
    conformance::a_refusal_is_no_acknowledgement(&broker).await;
}

#[tokio::test(start_paused = true)]
async fn what_fails_for_now_is_tried_again_with_growing_waits() {
    for passing in [500, 503, 408, 425, 429] {
        let passing = StatusCode::from_u16(passing).unwrap();
        let far = Far::new(move |_, times| if times < 6 { passing } else { StatusCode::OK });
        let broker = far.broker(Limits::default());
        assert!(broker.send(&[event(1)]).await[0].is_ok());
        assert!(broker.drain(LONG).await);
        assert_eq!(far.times_seen(&event(1)), 6);
        assert!(far.buried.lock().unwrap().is_empty());
        let seen = far.seen.lock().unwrap();
        for (tries, pair) in seen.windows(2).enumerate() {
            let full = Duration::from_millis(100) * 2_u32.pow(u32::try_from(tries).unwrap());
            let waited = pair[1].1 - pair[0].1;
            assert!(
                waited >= full / 2 && waited <= full + Duration::from_millis(2),
                "{waited:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn fault_07_a_poison_event_fails_alone() {
    let poison = event(5);
    let refused = poison.clone();
    let far = Far::new(move |event, _| {
        if *event == refused {
            StatusCode::BAD_REQUEST
        } else {
            StatusCode::NO_CONTENT
        }
    });
    let broker = far.broker(Limits::default());
    let all: Vec<_> = (0..10).map(event).collect();
    assert!(broker.send(&all).await.iter().all(Result::is_ok));
    let garbage = Message {
        headers: Message::of(&poison).headers,
        body: "{".into(),
    };
    assert_eq!(broker.accept(garbage), Ok(()));
    let giant = vec![b'x'; 300_000];
    let headers = Message::of(&poison).headers;
    assert_eq!(
        broker.accept(Message {
            headers,
            body: giant.into()
        }),
        Ok(())
    );
    assert!(broker.drain(LONG).await);
    assert!(
        all.iter().all(|event| far.times_seen(event) == 1),
        "nobody is tried twice"
    );
    let mut buried = far.buried.lock().unwrap().clone();
    buried.sort_by_key(|(body, _)| body.len());
    let lengths: Vec<_> = buried.iter().map(|(body, _)| body.len()).collect();
    assert_eq!(lengths, [1, envelope::write(&poison).len(), 300_000]);
    assert_eq!(buried[1].0, envelope::write(&poison));
    assert!(
        buried
            .iter()
            .all(|(_, reason)| reason.starts_with("answered 4")),
        "{buried:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn fault_08_three_of_ten_throttled_come_again_and_seven_are_done_once() {
    let far = Far::new(|event, times| {
        let throttled = event.units.highest() % 1000 <= 3 && times == 1;
        if throttled {
            StatusCode::SERVICE_UNAVAILABLE
        } else {
            StatusCode::NO_CONTENT
        }
    });
    let broker = far.broker(Limits::default());
    let all: Vec<_> = (0..10).map(event).collect();
    broker.send(&all).await;
    assert!(broker.drain(LONG).await);
    let times: Vec<_> = all.iter().map(|event| far.times_seen(event)).collect();
    assert_eq!(times, [2, 2, 2, 1, 1, 1, 1, 1, 1, 1]);
    assert!(far.buried.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn fault_14_a_minute_of_absence_makes_no_dead_letter() {
    let start = tokio::time::Instant::now();
    let far = Far::new(move |_, _| {
        let away = start.elapsed() < Duration::from_mins(1);
        if away {
            StatusCode::SERVICE_UNAVAILABLE
        } else {
            StatusCode::NO_CONTENT
        }
    });
    let broker = far.broker(Limits::default());
    broker.send(&(0..20).map(event).collect::<Vec<_>>()).await;
    assert!(
        broker.drain(Duration::from_secs(66)).await,
        "drained soon after"
    );
    assert!(far.buried.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_fails_too_often_is_a_dead_letter_and_never_lost() {
    let far = Far::new(|_, _| StatusCode::SERVICE_UNAVAILABLE);
    *far.grave.lock().unwrap() = vec![StatusCode::SERVICE_UNAVAILABLE, StatusCode::BAD_REQUEST];
    let broker = far.broker(Limits {
        tries: 3,
        ..Limits::default()
    });
    broker.send(&[event(1)]).await;
    assert!(broker.drain(LONG).await);
    assert_eq!(far.times_seen(&event(1)), 3);
    let buried = far.buried.lock().unwrap();
    assert_eq!(buried[0].1, "answered 503, after 3 tries");
    assert_eq!(buried.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn when_full_it_does_not_acknowledge() {
    let far = Far::new(|_, _| StatusCode::SERVICE_UNAVAILABLE);
    let broker = far.broker(Limits {
        held_kib: 3,
        ..Limits::default()
    });
    let answers = broker.send(&(0..5).map(event).collect::<Vec<_>>()).await;
    let taken: Vec<_> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(taken, [true, true, true, false, false]);
    assert_eq!(broker.held_kib(), 3);
    assert!(matches!(answers[3], Err(SendError::Refused(503))));
}

#[tokio::test(start_paused = true)]
async fn a_closing_broker_takes_nothing_and_says_what_is_left() {
    let far = Far::new(|_, _| StatusCode::SERVICE_UNAVAILABLE);
    let broker = far.broker(Limits::default());
    broker.send(&[event(1)]).await;
    assert!(
        !broker.drain(Duration::from_secs(1)).await,
        "one is still held"
    );
    assert_eq!(broker.accept(Message::of(&event(2))), Err(Full));
}

/// Both transports outside: a sender over HTTP, and a subscriber behind a URL.
#[tokio::test]
async fn over_http_it_keeps_the_same_promises() {
    let far = Far::new(|event, _| {
        if *event == conformance::event(999) {
            StatusCode::CONFLICT
        } else {
            StatusCode::NO_CONTENT
        }
    });
    let at = served(far.app()).await;
    let to = |path: &str| Subscriber::outside(&format!("{at}{path}").parse().unwrap()).unwrap();
    let broker = Broker::new(
        Limits::default(),
        to("/events/order-placed"),
        to("/events/dead-letter"),
    );
    let at = served(runtime::app(ingress(broker.clone(), "/"))).await;
    let sink = events::connect(&at.parse().unwrap()).await.unwrap();
    assert!(sink.send(&[conformance::event(999)]).await[0].is_ok());
    let arrived = async || far.arrived(&broker).await;
    conformance::what_is_acknowledged_has_arrived(&*sink, arrived).await;
    conformance::a_refusal_is_no_acknowledgement(&*sink).await;
    assert_eq!(far.buried.lock().unwrap()[0].1, "answered 409");
}

#[tokio::test]
async fn what_is_no_event_at_all_is_refused_at_the_door() {
    let far = Far::new(|_, _| StatusCode::NO_CONTENT);
    let at = served(runtime::app(ingress(far.broker(Limits::default()), "/"))).await;
    let client = reqwest::Client::new();
    let answer = client.post(&at).body("hello").send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 400);
    let answer = client
        .post(&at)
        .header("content-type", envelope::CONTENT_TYPE);
    let answer = answer
        .body(vec![b'x'; MESSAGE_BYTES_MAX + 1])
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 413);
}

async fn served(app: runtime::App) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (limits, never) = (runtime::Limits::default(), std::future::pending());
    tokio::spawn(runtime::server::serve_on(listener, app, limits, never));
    format!("http://{address}")
}
