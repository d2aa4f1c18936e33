//! The end of a server while requests are in flight.

use super::*;

/// Short, so that a hundred stops take seconds.
fn limits() -> Limits {
    Limits {
        notice: Duration::from_millis(20),
        ..Limits::default()
    }
}

async fn started(gate: &Gate, requests: usize) {
    within(async {
        while gate.started.load(Ordering::SeqCst) < requests {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn fault_33_requests_in_flight_are_answered_before_the_end() {
    for _ in 0..100 {
        let mut server = Running::start(limits()).await;
        let mut http1 = server.connect().await;
        http1
            .write_all(b"GET /gate HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        let mut client = server.http2().await;
        let http2 = tokio::spawn(async move { get_http2(&mut client, "/gate").await });
        started(&server.gate, 2).await;
        server.stop();
        tokio::task::yield_now().await;
        server.gate.open.notify_waiters();
        let answer = read_to_end(&mut http1).await;
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.ends_with("through"),
            "{answer}"
        );
        drop(http1);
        assert_eq!(within(http2).await.unwrap(), (200, "through".to_owned()));
        server.ended().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_33_no_client_that_keeps_asking_loses_a_request() {
    // Long enough for a client that is slow to send what it connected for.
    let limits = Limits {
        notice: Duration::from_secs(1),
        ..Limits::default()
    };
    for _ in 0..5 {
        let mut server = Running::start(limits.clone()).await;
        let clients: Vec<_> = (0..8)
            .map(|_| tokio::spawn(ask_until_closed(server.address)))
            .collect();
        tokio::time::sleep(Duration::from_millis(20)).await;
        server.stop();
        for client in clients {
            assert!(within(client).await.unwrap() > 0);
        }
        server.ended().await;
    }
}

/// Asks again and again on one connection, until the server says that it is the last answer.
async fn ask_until_closed(address: SocketAddr) -> usize {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut answered = 0;
    loop {
        let request = b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let answer = read_answer(&mut stream).await;
        assert!(answer.ends_with("hello"), "{answer}");
        answered += 1;
        if answer.contains("connection: close") {
            // What follows the last answer is the end, never a reset.
            assert_eq!(within(stream.read(&mut [0; 1])).await.unwrap(), 0);
            return answered;
        }
    }
}

#[tokio::test]
async fn fault_33_a_stopping_server_is_not_ready_and_says_goodbye() {
    let limits = Limits {
        notice: Duration::from_secs(5),
        ..Limits::default()
    };
    let mut server = Running::start(limits).await;
    let ready = "GET /health/ready HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut stream = server.connect().await;
    stream.write_all(ready.as_bytes()).await.unwrap();
    assert!(read_answer(&mut stream).await.starts_with("HTTP/1.1 200"));
    server.stop();
    let not_ready = within(async {
        loop {
            stream.write_all(ready.as_bytes()).await.unwrap();
            let answer = read_answer(&mut stream).await;
            if !answer.starts_with("HTTP/1.1 200") {
                return answer;
            }
        }
    })
    .await;
    assert!(not_ready.starts_with("HTTP/1.1 503"), "{not_ready}");
    assert!(not_ready.contains("connection: close"));
    // New connections are still taken, since somebody may not have noticed yet.
    let answer = server
        .exchange("GET /hello HTTP/1.1\r\nhost: a\r\n\r\n")
        .await;
    assert!(
        answer.ends_with("hello") && answer.contains("connection: close"),
        "{answer}"
    );
}

#[tokio::test]
async fn fault_33_what_never_ends_is_cut_off() {
    let limits = Limits {
        drain: Duration::from_millis(100),
        ..limits()
    };
    let mut server = Running::start(limits).await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /gate HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    started(&server.gate, 1).await;
    server.stop();
    assert_eq!(read_to_end(&mut stream).await, "");
    server.ended().await;
}
