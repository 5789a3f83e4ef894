//! Client of the control socket: runs in a subcommand.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::protocol::Request;
use crate::handover::SocketName;

/// For a reply, unless the request is one that waits.
const REPLY_TIMEOUT: Duration = Duration::from_secs(20);
/// Octets of a reply; those of an instance are shorter.
const MAX_REPLY_LEN: u64 = 16 << 20;

/// Why there is no reply, with the remedy.
#[derive(Debug)]
pub(crate) enum ClientError {
    /// Nothing listens at this path.
    NoInstance(PathBuf, io::Error),
    /// The connection has ended, or a reply is late.
    Connection(io::Error),
    /// A reply is not of the protocol.
    Reply(serde_json::Error),
    /// The instance's reason.
    Refused(String),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoInstance(path, error) => write!(
                f,
                "no instance answers at {}: {error} (run this as root in the container of the instance, with its \
                 -handover-dir, which must exist)",
                path.display()
            ),
            Self::Connection(error) => write!(f, "the instance does not answer: {error}"),
            Self::Reply(error) => write!(f, "the reply is not of this program: {error}"),
            Self::Refused(reason) => f.write_str(reason),
        }
    }
}

/// The replies to a request, as they arrive.
pub(crate) struct Replies {
    reader: BufReader<UnixStream>,
}

/// Sends a request to the active instance in `directory`.
///
/// # Errors
/// There is none, or it does not accept the request.
pub(crate) fn send(directory: &Path, request: &Request) -> Result<Replies, ClientError> {
    let path = directory.join(SocketName::Control.file());
    let mut stream = UnixStream::connect(&path).map_err(|error| ClientError::NoInstance(path, error))?;
    let sent = stream
        .set_read_timeout(Some(REPLY_TIMEOUT))
        .and_then(|()| stream.write_all(request.to_line().as_bytes()));
    sent.map_err(ClientError::Connection)?;
    Ok(Replies { reader: BufReader::new(stream) })
}

impl Iterator for Replies {
    type Item = Result<Value, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut line = Vec::new();
        match (&mut self.reader).take(MAX_REPLY_LEN).read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) => Some(parse(&line)),
            Err(error) => Some(Err(ClientError::Connection(error))),
        }
    }
}

impl Replies {
    /// Waits for replies for as long as it takes from now on.
    ///
    /// # Errors
    /// The system refuses it.
    pub(crate) fn wait_without_limit(&mut self) -> Result<(), ClientError> {
        self.reader.get_ref().set_read_timeout(None).map_err(ClientError::Connection)
    }

    /// The only reply.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn single(mut self) -> Result<Value, ClientError> {
        self.next().unwrap_or_else(|| Err(ClientError::Connection(io::ErrorKind::UnexpectedEof.into())))
    }
}

fn parse(line: &[u8]) -> Result<Value, ClientError> {
    let reply: Value = serde_json::from_slice(line).map_err(ClientError::Reply)?;
    match reply.get("error").and_then(Value::as_str) {
        Some(reason) => Err(ClientError::Refused(reason.to_owned())),
        None => Ok(reply),
    }
}
