//! How questions travel: the ten ways, and one client for each server.

use std::net::SocketAddr;
use std::time::Duration;

use testkit::client::{Client, ClientError, Pipeline, QueryOptions};
use testkit::upstream::Transport;

use crate::dice::Dice;
use crate::message::{DNSSEC_OK, OPT, flag};
use crate::questions::Question;

/// Longer than a server may take.
const TIMEOUT: Duration = Duration::from_secs(6);

const CLASS_IN: u16 = 1;

/// A way to ask.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) name: &'static str,
    pub(crate) options: QueryOptions,
}

impl Way {
    /// Octets that a datagram to this client may have, by what it says itself.
    pub(crate) fn datagram(&self) -> u16 {
        self.options.edns.unwrap_or(512)
    }

    pub(crate) fn is_udp(&self) -> bool {
        self.options.transport == Transport::Udp
    }
}

/// All ways: without OPT; with OPT and AD, as `dig` asks; with DO; with CD; with both.
pub(crate) const WAYS: [Way; 10] = {
    let [udp, tcp] = [Transport::Udp, Transport::Tcp];
    let plain = QueryOptions {
        transport: udp,
        recursion_desired: true,
        authentic_data: false,
        checking_disabled: false,
        edns: None,
        dnssec_ok: false,
    };
    let edns = QueryOptions { edns: Some(4096), authentic_data: true, ..plain };
    let dnssec = QueryOptions { edns: Some(1232), dnssec_ok: true, ..plain };
    let unchecked = QueryOptions { checking_disabled: true, ..plain };
    let both = QueryOptions { edns: Some(1400), checking_disabled: true, ..dnssec };
    [
        Way { name: "UDP", options: plain },
        Way { name: "TCP", options: QueryOptions { transport: tcp, ..plain } },
        Way { name: "UDP EDNS", options: edns },
        Way { name: "TCP EDNS", options: QueryOptions { transport: tcp, ..edns } },
        Way { name: "UDP DO", options: dnssec },
        Way { name: "TCP DO", options: QueryOptions { transport: tcp, ..dnssec } },
        Way { name: "UDP CD", options: unchecked },
        Way { name: "TCP CD", options: QueryOptions { transport: tcp, ..unchecked } },
        Way { name: "UDP DO CD", options: both },
        Way { name: "TCP DO CD", options: QueryOptions { transport: tcp, ..both } },
    ]
};

/// The query, its letters in the case that `dice` choose, or as they are. Nothing when the name is none.
pub(crate) fn query(question: &Question, way: &Way, mut dice: Option<&mut Dice>) -> Option<Vec<u8>> {
    let QueryOptions { recursion_desired, authentic_data, checking_disabled, edns, dnssec_ok, .. } =
        way.options;
    let mut turn = |letter: u8| {
        let heads = dice.as_mut().is_some_and(|dice| dice.below(2) == 0);
        if heads { letter.to_ascii_uppercase() } else { letter }
    };
    let flag = |on, bit| if on { bit } else { 0 };
    let flags = flag(recursion_desired, flag::RD)
        | flag(authentic_data, flag::AD)
        | flag(checking_disabled, flag::CD);
    let mut octets = Vec::new();
    for number in [0, flags, 1, 0, 0, u16::from(edns.is_some())] {
        octets.extend(number.to_be_bytes());
    }
    for label in labels(&question.name) {
        octets.push(u8::try_from(label.len()).ok()?);
        octets.extend(label.into_iter().map(&mut turn));
    }
    octets.push(0);
    octets.extend([question.rtype, CLASS_IN].map(u16::to_be_bytes).concat());
    if let Some(size) = edns {
        octets.extend([0]);
        octets.extend([OPT, size, 0, flag(dnssec_ok, DNSSEC_OK), 0].map(u16::to_be_bytes).concat());
    }
    Some(octets)
}

/// The labels of an absolute name in presentation form (RFC 1035 section 5.1).
fn labels(name: &str) -> Vec<Vec<u8>> {
    let mut labels = vec![Vec::new()];
    let mut octets = name.bytes();
    while let Some(octet) = octets.next() {
        let value = match octet {
            b'.' => {
                labels.push(Vec::new());
                continue;
            }
            b'\\' => match octets.next().unwrap_or_default() {
                digit @ b'0'..=b'9' => {
                    let digits =
                        [digit, octets.next().unwrap_or_default(), octets.next().unwrap_or_default()];
                    digits.iter().fold(0_u8, |value, digit| {
                        value.wrapping_mul(10).wrapping_add(digit.wrapping_sub(b'0'))
                    })
                }
                itself => itself,
            },
            itself => itself,
        };
        labels.last_mut().into_iter().for_each(|label| label.push(value));
    }
    labels.retain(|label| !label.is_empty());
    labels
}

/// A client of one server: each datagram from a port of its own, all else on one connection.
pub(crate) struct Asker {
    client: Client,
    connection: Option<Pipeline>,
    /// Whether the server may send an answer more than once.
    repeats: bool,
    /// The number of the last query.
    id: u16,
}

impl Asker {
    /// A client of the daemon.
    pub(crate) fn new(server: SocketAddr) -> Self {
        Self { client: Client { server, timeout: TIMEOUT }, connection: None, repeats: false, id: 1 }
    }

    /// A client of an upstream.
    pub(crate) fn of_upstream(server: SocketAddr) -> Self {
        Self { repeats: true, ..Self::new(server) }
    }

    /// Sends `query` under a number of its own and returns what comes back under this number.
    pub(crate) fn ask(&mut self, query: &mut [u8], way: &Way) -> Result<Vec<u8>, ClientError> {
        self.id = self.id.wrapping_add(1);
        let id = self.id.to_be_bytes();
        if let Some(first) = query.first_chunk_mut() {
            *first = id;
        }
        let mut reply =
            if way.is_udp() { self.client.exchange_octets(query)? } else { self.on_connection(query)? };
        // CoreDNS's template sends a reply with an error twice.
        while self.repeats
            && reply.first_chunk() != Some(&id)
            && let Some(open) = &mut self.connection
        {
            reply = open.receive_octets()?;
        }
        if reply.first_chunk() == Some(&id) { Ok(reply) } else { Err(ClientError::Malformed(reply)) }
    }

    /// A server may close an idle connection at any time; on a fresh one it has to answer.
    fn on_connection(&mut self, query: &[u8]) -> Result<Vec<u8>, ClientError> {
        if let Some(mut open) = self.connection.take() {
            match open.send_octets(query).and_then(|()| open.receive_octets()) {
                Err(ClientError::Closed | ClientError::Io(_)) => {}
                reply => {
                    self.connection = Some(open);
                    return reply;
                }
            }
        }
        let mut fresh = Pipeline::connect(self.client.server, TIMEOUT)?;
        fresh.send_octets(query)?;
        let reply = fresh.receive_octets()?;
        self.connection = Some(fresh);
        Ok(reply)
    }
}
