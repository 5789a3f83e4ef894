//! Errors of the client.

use std::fmt;
use std::io;

/// Why there is no response.
#[derive(Debug)]
pub enum ClientError {
    /// The text is not a domain name.
    InvalidName(String),
    /// No response within the timeout.
    Timeout,
    /// The connection was closed before the response.
    Closed,
    /// The response is not a DNS message; its octets.
    Malformed(Vec<u8>),
    /// Any other socket error.
    Io(io::Error),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidName(text) => write!(f, "{text:?} is not a domain name"),
            Self::Timeout => f.write_str("no response within the timeout"),
            Self::Closed => f.write_str("connection closed before the response"),
            Self::Malformed(octets) => {
                write!(f, "malformed response of {} octets", octets.len())
            }
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
