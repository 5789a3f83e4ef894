//! One query, one response.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use resolver::action::Transport;

use super::error::ClientError;
use super::interruption::uninterrupted;
use super::pipeline::Pipeline;
use super::query::{QueryOptions, random_id};
use super::response::Response;
use crate::clock::now;

/// A client of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The server.
    pub server: SocketAddr,
    /// Timeout of one query.
    pub timeout: Duration,
}

impl Client {
    /// A client with the 5 s timeout of stub resolvers.
    pub fn new(server: SocketAddr) -> Self {
        Self { server, timeout: Duration::from_secs(5) }
    }

    /// Sends one query from a new socket. Responses with another ID are skipped; TC is not
    /// followed.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn query(
        &self,
        name: &str,
        record_type: RecordType,
        options: &QueryOptions,
    ) -> Result<Response, ClientError> {
        let query = options.message(random_id(), name, record_type)?;
        self.exchange(&query, options.transport)
    }

    /// Sends any message and returns the response with its ID.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn exchange(&self, query: &Message, transport: Transport) -> Result<Response, ClientError> {
        let invalid = |_| ClientError::InvalidName(format!("{:?}", query.queries));
        let octets = query.to_vec().map_err(invalid)?;
        let sent = now();
        let id = query.metadata.id.to_be_bytes();
        let matches = |response: &[u8]| response.first_chunk() == Some(&id);
        let octets = match transport {
            Transport::Udp => self.exchange_datagram(&octets, matches)?,
            Transport::Tcp => {
                let mut pipeline = Pipeline::connect(self.server, self.timeout)?;
                pipeline.send_octets(&octets)?;
                loop {
                    let response = pipeline.receive_octets()?;
                    if matches(&response) {
                        break response;
                    }
                }
            }
        };
        Response::decode(octets, sent)
    }

    /// Sends octets in a datagram and returns the first datagram received.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn exchange_octets(&self, octets: &[u8]) -> Result<Vec<u8>, ClientError> {
        self.exchange_datagram(octets, |_| true)
    }

    fn exchange_datagram(
        &self,
        octets: &[u8],
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<u8>, ClientError> {
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
            let length = uninterrupted(|| socket.recv(&mut buffer))?;
            if let Some(response) = buffer.get(..length).filter(|response| wanted(response)) {
                return Ok(response.to_vec());
            }
        }
    }
}
