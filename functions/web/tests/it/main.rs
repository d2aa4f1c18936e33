//! The binary by the container contract: it serves on `PORT` and ends well when it is told to.
#![expect(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

/// The binary on a free port, which it logs.
fn start() -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_web"))
        .env("PORT", "0")
        .env_remove("RUST_LOG")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = lines.by_ref().find_map(|line| {
        let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        line["server.address"].as_str().map(str::to_owned)
    });
    // Keeps reading, so that the child never waits for room in the pipe.
    std::thread::spawn(move || lines.for_each(drop));
    (child, address.unwrap().replace("0.0.0.0", "127.0.0.1"))
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    let sent = Command::new("kill").args([name, &id]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn fault_33_a_signal_ends_the_process_with_success_and_no_answer_is_cut() {
    for name in ["-TERM", "-INT"] {
        let (mut child, address) = start();
        let mut stream = TcpStream::connect(&address).unwrap();
        let request = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        stream.write_all(request).unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        signal(&child, name);
        let mut rest = String::new();
        stream.read_to_string(&mut rest).unwrap();
        assert!(rest.ends_with("</html>\n"), "{rest}");
        drop(stream);
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn a_port_that_is_none_stops_the_start_and_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_web"))
        .env("PORT", "hunter2")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("PORT is not a number") && !text.contains("hunter2"),
        "{text}"
    );
}
