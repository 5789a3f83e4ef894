//! Pipelined queries on one TCP connection (RFC 7766 section 6.2.1.1).

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use hickory_proto::rr::RecordType;

use super::error::ClientError;
use super::query::{QueryOptions, random_id};
use super::response::Response;
use crate::clock::now;

/// A TCP connection with any number of outstanding queries.
#[derive(Debug)]
pub struct Pipeline {
    stream: TcpStream,
    next_id: u16,
    sent: Vec<(u16, Instant)>,
}

impl Pipeline {
    /// Connects; `timeout` applies to this and to each response.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn connect(server: SocketAddr, timeout: Duration) -> Result<Self, ClientError> {
        let stream = TcpStream::connect_timeout(&server, timeout)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, next_id: random_id(), sent: Vec::new() })
    }

    /// Sends a query and returns its ID. The transport of `options` is ignored.
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
        let octets = query.to_vec().map_err(|_| ClientError::InvalidName(name.to_owned()))?;
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
        let too_long = |_| io::Error::from(io::ErrorKind::InvalidInput);
        let length = u16::try_from(octets.len()).map_err(too_long)?;
        Ok(self.stream.write_all(&[&length.to_be_bytes(), octets].concat())?)
    }

    /// The next response, to any of the queries.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn receive(&mut self) -> Result<Response, ClientError> {
        let octets = self.receive_octets()?;
        let id = octets.first_chunk().map(|id| u16::from_be_bytes(*id));
        let sent = self.sent.iter().find(|(sent, _)| Some(*sent) == id);
        Response::decode(octets, sent.map_or_else(now, |(_, at)| *at))
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

    /// The socket, for tests that close or reset it.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }
}
