//! A DNS client that does exactly what it is told: one message over UDP or TCP, or many over one connection.

mod format;
mod stub;

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};

pub use format::status;
pub use stub::{BadResolvConf, CandidateResult, Outcome, Stub};

use crate::clock::now;
use crate::upstream::Transport;

/// What a query says beside its question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryOptions {
    /// How it travels.
    pub transport: Transport,
    /// Recursion desired.
    pub recursion_desired: bool,
    /// Authentic data understood (RFC 6840 section 5.7).
    pub authentic_data: bool,
    /// Checking disabled.
    pub checking_disabled: bool,
    /// OPT with this payload size.
    pub edns: Option<u16>,
    /// DNSSEC OK; adds OPT with 1232 octets if there is none.
    pub dnssec_ok: bool,
}

impl Default for QueryOptions {
    /// As a stub resolver asks: over UDP with RD, without OPT.
    fn default() -> Self {
        Self {
            transport: Transport::Udp,
            recursion_desired: true,
            authentic_data: false,
            checking_disabled: false,
            edns: None,
            dnssec_ok: false,
        }
    }
}

impl QueryOptions {
    /// The defaults over TCP.
    pub fn tcp() -> Self {
        Self { transport: Transport::Tcp, ..Self::default() }
    }

    /// The query for a name in presentation form, absolute with or without the last dot.
    ///
    /// # Errors
    /// [`ClientError::Name`].
    pub fn message(&self, id: u16, name: &str, record_type: RecordType) -> Result<Message, ClientError> {
        let mut absolute = Name::from_ascii(name).map_err(|_| ClientError::Name(name.to_owned()))?;
        absolute.set_fqdn(true);
        let mut query = Message::new(id, MessageType::Query, OpCode::Query);
        query.metadata.recursion_desired = self.recursion_desired;
        query.metadata.authentic_data = self.authentic_data;
        query.metadata.checking_disabled = self.checking_disabled;
        query.queries.push(Query::query(absolute, record_type));
        if self.edns.is_some() || self.dnssec_ok {
            let mut edns = Edns::new();
            edns.set_max_payload(self.edns.unwrap_or(1232)).set_dnssec_ok(self.dnssec_ok);
            query.edns = Some(edns);
        }
        Ok(query)
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub enum ClientError {
    /// The text is no domain name.
    Name(String),
    /// Nothing came in time.
    Timeout,
    /// The connection was closed before the answer.
    Closed,
    /// What came is no DNS message; the octets.
    Malformed(Vec<u8>),
    /// Anything else from the sockets.
    Io(io::Error),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(text) => write!(f, "{text:?} is no domain name"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::Closed => f.write_str("connection closed before the answer"),
            Self::Malformed(octets) => write!(f, "{} octets that are no DNS message", octets.len()),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ClientError {}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Timeout,
            io::ErrorKind::UnexpectedEof => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The message.
    pub message: Message,
    /// Its octets.
    pub octets: Vec<u8>,
    /// From sending the query to having the answer.
    pub elapsed: Duration,
}

/// Asks one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The server.
    pub server: SocketAddr,
    /// How long one question may take.
    pub timeout: Duration,
}

impl Client {
    /// A client that waits 5 s for an answer, as resolvers do.
    pub fn new(server: SocketAddr) -> Self {
        Self { server, timeout: Duration::from_secs(5) }
    }

    /// Asks once, from a fresh socket. Datagrams with another ID are not the answer; TC is not followed.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn query(
        &self,
        name: &str,
        record_type: RecordType,
        options: &QueryOptions,
    ) -> Result<Response, ClientError> {
        let query = options.message(fresh_id(), name, record_type)?;
        self.exchange(&query, options.transport)
    }

    /// Sends any message once and waits for the one with its ID.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn exchange(&self, query: &Message, transport: Transport) -> Result<Response, ClientError> {
        let octets = query.to_vec().map_err(|_| ClientError::Name(format!("{:?}", query.queries)))?;
        let sent = now();
        let matches = |reply: &[u8]| reply.first_chunk() == Some(&query.metadata.id.to_be_bytes());
        let octets = match transport {
            Transport::Udp => self.datagram(&octets, matches)?,
            Transport::Tcp => {
                let mut pipeline = Pipeline::connect(self.server, self.timeout)?;
                pipeline.send_octets(&octets)?;
                loop {
                    let reply = pipeline.receive_octets()?;
                    if matches(&reply) {
                        break reply;
                    }
                }
            }
        };
        reply(octets, sent)
    }

    /// Sends octets in a datagram and returns the first that come back, whatever they are.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn exchange_octets(&self, octets: &[u8]) -> Result<Vec<u8>, ClientError> {
        self.datagram(octets, |_| true)
    }

    fn datagram(&self, octets: &[u8], wanted: impl Fn(&[u8]) -> bool) -> Result<Vec<u8>, ClientError> {
        let any: SocketAddr = match self.server {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        socket.connect(self.server)?;
        let sent = now();
        socket.send(octets)?;
        let mut buffer = vec![0; usize::from(u16::MAX)];
        loop {
            let left = self.timeout.checked_sub(sent.elapsed()).filter(|left| !left.is_zero());
            socket.set_read_timeout(Some(left.ok_or(ClientError::Timeout)?))?;
            let length = socket.recv(&mut buffer)?;
            if let Some(reply) = buffer.get(..length).filter(|reply| wanted(reply)) {
                return Ok(reply.to_vec());
            }
        }
    }
}

/// One TCP connection with any number of questions on it (RFC 7766 section 6.2.1.1).
#[derive(Debug)]
pub struct Pipeline {
    stream: TcpStream,
    next_id: u16,
    sent: Vec<(u16, Instant)>,
}

impl Pipeline {
    /// Connects; `timeout` holds for this and for every answer.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn connect(server: SocketAddr, timeout: Duration) -> Result<Self, ClientError> {
        let stream = TcpStream::connect_timeout(&server, timeout)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, next_id: fresh_id(), sent: Vec::new() })
    }

    /// Sends a question and returns its ID. The transport of `options` does not matter.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn send(
        &mut self,
        name: &str,
        record_type: RecordType,
        options: &QueryOptions,
    ) -> Result<u16, ClientError> {
        let id = self.next_id;
        let query = options.message(id, name, record_type)?;
        let octets = query.to_vec().map_err(|_| ClientError::Name(name.to_owned()))?;
        self.next_id = id.wrapping_add(1);
        self.sent.push((id, now()));
        self.send_octets(&octets)?;
        Ok(id)
    }

    /// Sends octets as one message.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn send_octets(&mut self, octets: &[u8]) -> Result<(), ClientError> {
        let length = u16::try_from(octets.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.stream.write_all(&[&length.to_be_bytes(), octets].concat())?)
    }

    /// The next answer, whichever question it belongs to.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn receive(&mut self) -> Result<Response, ClientError> {
        let octets = self.receive_octets()?;
        let id = octets.first_chunk().map(|id| u16::from_be_bytes(*id));
        let sent = self.sent.iter().find(|(sent, _)| Some(*sent) == id).map_or_else(now, |(_, at)| *at);
        reply(octets, sent)
    }

    /// The octets of the next message.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn receive_octets(&mut self) -> Result<Vec<u8>, ClientError> {
        let mut length = [0; 2];
        self.stream.read_exact(&mut length)?;
        let mut octets = vec![0; usize::from(u16::from_be_bytes(length))];
        self.stream.read_exact(&mut octets)?;
        Ok(octets)
    }

    /// The connection itself, for tests that end it in their own way.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }
}

fn reply(octets: Vec<u8>, sent: Instant) -> Result<Response, ClientError> {
    match Message::from_vec(&octets) {
        Ok(message) => Ok(Response { message, octets, elapsed: sent.elapsed() }),
        Err(_) => Err(ClientError::Malformed(octets)),
    }
}

fn fresh_id() -> u16 {
    Message::query().metadata.id
}
