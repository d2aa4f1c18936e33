//! Clients that send too much, too slowly, or nothing.

use super::*;

const SHORT: Duration = Duration::from_millis(200);

fn post_head(length: &str) -> String {
    format!("POST /bytes HTTP/1.1\r\nhost: a\r\n{CONTENT_TYPE}: text/plain\r\n{length}\r\n\r\n")
}

#[tokio::test]
async fn fault_23_a_body_of_10_mb_is_413_and_the_connection_closed() {
    let server = Running::start(Limits::default()).await;
    let mut request = post_head("content-length: 10000000").into_bytes();
    request.resize(request.len() + 10_000_000, b'x');
    let answer = server.exchange(request).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("connection: close") && answer.contains("too-large"));
}

#[tokio::test]
async fn fault_23_a_body_that_only_claims_10_mb_is_refused_unread() {
    let server = Running::start(Limits::default()).await;
    let answer = server.exchange(post_head("content-length: 10000000")).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let expecting = post_head("content-length: 10000000\r\nexpect: 100-continue");
    let answer = server.exchange(expecting).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn fault_23_endless_chunks_are_413_and_the_connection_closed() {
    let server = Running::start(Limits::default()).await;
    let mut request = post_head("transfer-encoding: chunked");
    for _ in 0..10_000 {
        request.push_str("64\r\n");
        request.push_str(&"x".repeat(100));
        request.push_str("\r\n");
    }
    let answer = server.exchange(request).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("connection: close"));
}

#[tokio::test]
async fn fault_23_lying_lengths_are_refused() {
    let limits = Limits {
        body: SHORT,
        ..Limits::default()
    };
    let server = Running::start(limits).await;
    let too_little = post_head("content-length: 100") + "only this";
    let answer = server.exchange(too_little).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    let too_much = post_head("content-length: 4") + "four and no request";
    let answer = server.exchange(too_much).await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("HTTP/1.1 400"),
        "{answer}"
    );
    for length in [
        "content-length: -1",
        "content-length: 1\r\ncontent-length: 2",
        "content-length: x",
    ] {
        let answer = server.exchange(post_head(length) + "x").await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
}

#[tokio::test]
async fn fault_23_a_large_body_over_http2_is_413() {
    let server = Running::start(Limits::default()).await;
    let stream = TokioIo::new(server.connect().await);
    let handshake =
        http2::handshake::<_, _, http_body_util::Full<Bytes>>(TokioExecutor::new(), stream);
    let (mut client, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let body = Bytes::from(vec![b'x'; 1_000_000]);
    let request = Request::post("http://localhost/bytes")
        .body(body.into())
        .unwrap();
    let answer = within(client.send_request(request)).await.unwrap();
    assert_eq!(answer.status(), 413);
}

#[tokio::test]
async fn fault_24_a_body_that_drips_is_408_and_the_connection_closed() {
    let limits = Limits {
        body: SHORT,
        ..Limits::default()
    };
    let server = Running::start(limits).await;
    let (mut from, mut to) = server.connect().await.into_split();
    to.write_all(post_head("content-length: 10000").as_bytes())
        .await
        .unwrap();
    let dripping = tokio::spawn(async move {
        while to.write_all(b"x").await.is_ok() {
            tokio::time::sleep(SHORT / 10).await;
        }
    });
    let answer = read_to_end(&mut from).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("connection: close") && answer.contains("body-timeout"));
    drop(from);
    within(dripping).await.unwrap();
}

#[tokio::test]
async fn fault_24_silent_sockets_and_half_heads_and_prefaces_are_closed() {
    let limits = Limits {
        head: SHORT,
        ..Limits::default()
    };
    let server = Running::start(limits).await;
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let settings = "\0\0\0\x04\0\0\0\0\0";
    // HEADERS of stream 1, without END_HEADERS; nothing follows.
    let half_headers = "\0\0\x01\x01\0\0\0\0\x01\x02";
    let held = [
        String::new(),
        "G".to_owned(),
        "GET /hello HTTP/1.1\r\nhost: a\r\n".to_owned(),
        preface[..3].to_owned(),
        preface[..20].to_owned(),
        preface.to_owned(),
        format!("{preface}{settings}"),
        format!("{preface}{settings}{half_headers}"),
    ];
    for bytes in held {
        let answer = server.exchange(&bytes).await;
        assert!(!answer.contains("200"), "{bytes:?}: {answer}");
    }
}

#[tokio::test]
async fn fault_24_a_head_that_drips_is_closed() {
    let limits = Limits {
        head: SHORT,
        ..Limits::default()
    };
    let server = Running::start(limits).await;
    let (mut from, mut to) = server.connect().await.into_split();
    let dripping = tokio::spawn(async move {
        to.write_all(b"GET /hello HTTP/1.1\r\nx: ").await.unwrap();
        while to.write_all(b"x").await.is_ok() {
            tokio::time::sleep(SHORT / 10).await;
        }
    });
    assert_eq!(read_to_end(&mut from).await, "");
    drop(from);
    within(dripping).await.unwrap();
}

#[tokio::test]
async fn fault_24_a_later_head_that_stays_half_is_closed() {
    let limits = Limits {
        head: SHORT,
        ..Limits::default()
    };
    let server = Running::start(limits).await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    assert!(read_answer(&mut stream).await.ends_with("hello"));
    // Between requests an honest client may take its time.
    tokio::time::sleep(SHORT * 2).await;
    stream
        .write_all(b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    assert!(read_answer(&mut stream).await.ends_with("hello"));
    stream.write_all(b"GET /hello HT").await.unwrap();
    assert_eq!(read_to_end(&mut stream).await, "");
}

#[tokio::test]
async fn fault_24_a_later_http2_head_that_stays_half_is_closed() {
    let limits = Limits {
        head: SHORT,
        ping: SHORT,
        ..Limits::default()
    };
    let server = Running::start(limits).await;
    let mut frames = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    // GET http://a/ whole, as stream 1; then half a head, as stream 3.
    frames.extend(b"\0\0\x06\x01\x05\0\0\0\x01\x82\x84\x86\x41\x01a");
    frames.extend(b"\0\0\x01\x01\0\0\0\0\x03\x82");
    let answer = server.exchange(frames).await;
    assert!(answer.contains("not-found"), "{answer}");
}

#[tokio::test]
async fn fault_24_honest_clients_are_served_while_others_hold_connections() {
    let server = Running::start(Limits::default()).await;
    let mut held = Vec::new();
    for _ in 0..200 {
        let mut stream = server.connect().await;
        stream
            .write_all(b"GET /hello HTTP/1.1\r\nho")
            .await
            .unwrap();
        held.push(stream);
    }
    let answer = server
        .exchange("GET /hello HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await;
    assert!(answer.ends_with("hello"), "{answer}");
}

#[tokio::test]
async fn fault_24_an_idle_connection_is_closed_in_the_end() {
    let limits = Limits {
        idle: SHORT,
        ..Limits::default()
    };
    let server = Running::start(limits).await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    assert!(read_answer(&mut stream).await.ends_with("hello"));
    assert_eq!(read_to_end(&mut stream).await, "");
    let mut client = server.http2().await;
    assert_eq!(get_http2(&mut client, "/hello").await.0, 200);
    within(async {
        while !client.is_closed() {
            tokio::time::sleep(SHORT / 10).await;
        }
    })
    .await;
}

#[tokio::test]
async fn fault_24_a_client_that_takes_no_answer_is_closed() {
    let limits = Limits {
        write: SHORT,
        connections: 1,
        ..Limits::default()
    };
    let server = Running::start(limits).await;
    let mut holds = server.connect().await;
    holds
        .write_all(b"GET /endless HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    // The only place becomes free without the first client's doing.
    let answer = server
        .exchange("GET /hello HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await;
    assert!(answer.ends_with("hello"), "{answer}");
}

#[tokio::test]
async fn fault_24_heads_that_are_too_large_are_431() {
    let server = Running::start(Limits::default()).await;
    let long = format!("GET /hello HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(20_000));
    let many = format!("GET /hello HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(1_000));
    for request in [long, many] {
        let answer = server.exchange(request).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
    let token = format!(
        "GET /hello HTTP/1.1\r\nauthorization: {}\r\nconnection: close\r\n\r\n",
        "x".repeat(8_192)
    );
    assert!(server.exchange(token).await.starts_with("HTTP/1.1 200"));
    let mut client = server.http2().await;
    let request = Request::get("http://localhost/hello").header("x", "x".repeat(20_000));
    let answer = client.send_request(request.body(Empty::new()).unwrap());
    let refused = within(answer)
        .await
        .map_or(true, |answer| answer.status() == 431);
    assert!(refused);
}
