//! Ports of servers that cannot be told to take any.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
    ops::Range,
    sync::{
        LazyLock,
        atomic::{AtomicU16, Ordering},
    },
};

/// Below those that systems give to outgoing connections: a server that is started again finds its port as it left it.
const PORTS: Range<u16> = 18_000..30_000;

/// A port of the loopback address that is free now. No port is given twice by one process: what it was given for may not
/// listen there yet.
///
/// # Errors
/// If none is free.
pub fn free_port() -> io::Result<u16> {
    static NEXT: LazyLock<AtomicU16> =
        LazyLock::new(|| AtomicU16::new(rand::random_range(0..PORTS.end - PORTS.start)));
    for _ in PORTS {
        let next = NEXT.fetch_add(1, Ordering::Relaxed) % (PORTS.end - PORTS.start);
        let port = PORTS.start + next;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(io::Error::other("no port is free"))
}
