//! The ten variants of a query, and a client that sends them to one server.

use std::net::SocketAddr;
use std::time::Duration;

use testkit::client::{Client, ClientError, Pipeline, QueryOptions};
use testkit::upstream::Transport;

use crate::message::{DNSSEC_OK, OPT, flag};
use crate::question::Question;
use crate::rng::Rng;

/// Timeout of one query; longer than any server's own.
const TIMEOUT: Duration = Duration::from_secs(6);

/// Transport, flags and OPT of a query.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// For reports.
    pub name: &'static str,
    /// The options.
    pub options: QueryOptions,
}

impl Variant {
    /// The client's UDP payload size.
    pub fn payload_size(&self) -> u16 {
        self.options.edns.unwrap_or(512)
    }

    /// Whether it goes over UDP.
    pub fn is_udp(&self) -> bool {
        self.options.transport == Transport::Udp
    }
}

/// All variants: without OPT; with OPT and AD, like `dig`; with DO; with CD; with DO and CD.
pub const VARIANTS: [Variant; 10] = {
    let (tcp, plain) = (Transport::Tcp, QueryOptions::STUB);
    let edns = QueryOptions { edns: Some(4096), authentic_data: true, ..plain };
    let dnssec = QueryOptions { edns: Some(1232), dnssec_ok: true, ..plain };
    let unchecked = QueryOptions { checking_disabled: true, ..plain };
    let both = QueryOptions { edns: Some(1400), checking_disabled: true, ..dnssec };
    [
        Variant { name: "UDP", options: plain },
        Variant { name: "TCP", options: QueryOptions { transport: tcp, ..plain } },
        Variant { name: "UDP EDNS", options: edns },
        Variant { name: "TCP EDNS", options: QueryOptions { transport: tcp, ..edns } },
        Variant { name: "UDP DO", options: dnssec },
        Variant { name: "TCP DO", options: QueryOptions { transport: tcp, ..dnssec } },
        Variant { name: "UDP CD", options: unchecked },
        Variant { name: "TCP CD", options: QueryOptions { transport: tcp, ..unchecked } },
        Variant { name: "UDP DO CD", options: both },
        Variant { name: "TCP DO CD", options: QueryOptions { transport: tcp, ..both } },
    ]
};

/// The query, with the case of QNAME chosen by `rng`, if given. `None` if the name is invalid.
pub fn query(question: &Question, variant: &Variant, mut rng: Option<&mut Rng>) -> Option<Vec<u8>> {
    let QueryOptions { recursion_desired, authentic_data, checking_disabled, edns, dnssec_ok, .. } =
        variant.options;
    let mut randomize = |letter: u8| {
        let upper = rng.as_mut().is_some_and(|rng| rng.below(2) == 0);
        if upper { letter.to_ascii_uppercase() } else { letter }
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
        octets.extend(label.into_iter().map(&mut randomize));
    }
    octets.push(0);
    octets.extend([question.rtype, question.class].map(u16::to_be_bytes).concat());
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
                literal => literal,
            },
            literal => literal,
        };
        labels.last_mut().into_iter().for_each(|label| label.push(value));
    }
    labels.retain(|label| !label.is_empty());
    labels
}

/// A client of one server: a new port for each datagram, one TCP connection for all else.
pub struct ServerClient {
    client: Client,
    connection: Option<Pipeline>,
    /// The server may send a response twice.
    skips_duplicates: bool,
    /// ID of the last query.
    id: u16,
}

impl ServerClient {
    /// A client of the daemon.
    pub fn new(server: SocketAddr) -> Self {
        Self { client: Client { server, timeout: TIMEOUT }, connection: None, skips_duplicates: false, id: 1 }
    }

    /// A client of an upstream.
    pub fn of_upstream(server: SocketAddr) -> Self {
        Self { skips_duplicates: true, ..Self::new(server) }
    }

    /// Sends `query` with a new ID and returns the response with this ID.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn query(&mut self, query: &mut [u8], variant: &Variant) -> Result<Vec<u8>, ClientError> {
        self.id = self.id.wrapping_add(1);
        let id = self.id.to_be_bytes();
        if let Some(first) = query.first_chunk_mut() {
            *first = id;
        }
        let mut response =
            if variant.is_udp() { self.client.exchange_octets(query)? } else { self.exchange_tcp(query)? };
        // CoreDNS's template plugin sends an error response twice.
        while self.skips_duplicates
            && response.first_chunk() != Some(&id)
            && let Some(open) = &mut self.connection
        {
            response = open.receive_octets()?;
        }
        if response.first_chunk() == Some(&id) { Ok(response) } else { Err(ClientError::Malformed(response)) }
    }

    /// Exchanges messages on the open connection, or on a fresh one if the server has closed it.
    fn exchange_tcp(&mut self, query: &[u8]) -> Result<Vec<u8>, ClientError> {
        if let Some(mut open) = self.connection.take() {
            match open.send_octets(query).and_then(|()| open.receive_octets()) {
                Err(ClientError::Closed | ClientError::Io(_)) => {}
                response => {
                    self.connection = Some(open);
                    return response;
                }
            }
        }
        let mut fresh = Pipeline::connect(self.client.server, TIMEOUT)?;
        fresh.send_octets(query)?;
        let response = fresh.receive_octets()?;
        self.connection = Some(fresh);
        Ok(response)
    }
}
