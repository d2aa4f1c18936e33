//! The names by which containers find the servers: asked for as in a cluster, by DNS with a search path.

use std::net::{Ipv4Addr, UdpSocket};

/// A server's name is one of these with [`DOMAIN`] behind it, and its address the loopback's.
pub(crate) const SERVERS: [&str; 3] = ["redis", "store", "broker"];
/// What the resolver has to put behind a name.
const DOMAIN: &str = "spike.svc.cluster.test";
/// Where a resolver asks.
const PORT: u16 = 53;
/// The length of a message's header.
const HEADER: usize = 12;
/// An address.
const TYPE_A: u16 = 1;

/// The arguments by which podman tells a container where to look names up.
///
/// Whoever may not listen where resolvers ask gets the names from the container's `/etc/hosts` instead.
pub(crate) fn arguments() -> Vec<String> {
    // Nobody else's: a machine may have a resolver of its own at 127.0.0.53.
    let address = Ipv4Addr::new(127, 77, 83, 80);
    match UdpSocket::bind((address, PORT)) {
        Ok(socket) => {
            std::thread::spawn(move || serve(&socket));
            let options = ["--dns-search", DOMAIN, "--dns-option", "ndots:5"];
            let dns = ["--dns".to_owned(), address.to_string()];
            dns.into_iter().chain(options.map(str::to_owned)).collect()
        }
        Err(error) => {
            println!("names are not looked up by DNS but in /etc/hosts: port {PORT}: {error}");
            let hosts = SERVERS.map(|name| format!("--add-host={name}:127.0.0.1"));
            hosts.to_vec()
        }
    }
}

fn serve(socket: &UdpSocket) {
    let mut query = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut query) {
        if let Some(answer) = answer(&query[..length]) {
            // A resolver that has gone asks again or does without.
            let _ = socket.send_to(&answer, from);
        }
    }
}

/// RFC 1035, section 4: the same message with the question, and the address if there is one.
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let mut labels = Vec::new();
    let mut rest = query.get(HEADER..)?;
    let asked = loop {
        let (&length, after) = rest.split_first()?;
        let (label, after) = after.split_at_checked(usize::from(length))?;
        rest = after;
        if label.is_empty() {
            break u16::from_be_bytes(*rest.first_chunk()?);
        }
        labels.push(std::str::from_utf8(label).ok()?);
    };
    let question = &query[HEADER..query.len() - rest.len() + 4];
    let name = labels.join(".");
    let known = SERVERS
        .iter()
        .any(|server| name == format!("{server}.{DOMAIN}"));
    let found = known && asked == TYPE_A;
    // An answer, to a question that asked for recursion, by a server that offers it; 3 is "no such name".
    let flags = [0x81, if known { 0x80 } else { 0x83 }];
    let counts = [0, 1, 0, u8::from(found), 0, 0, 0, 0];
    let mut message = [&query[..2], &flags, &counts, question].concat();
    if found {
        // The name at the message's 12th byte, type A, class IN, for 5 seconds, 4 bytes.
        message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4]);
        message.extend(Ipv4Addr::LOCALHOST.octets());
    }
    Some(message)
}
