//! A minimal HTTP client.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Timeout of each read and write.
const TIMEOUT: Duration = Duration::from_secs(5);

/// An HTTP response.
pub(crate) struct Page {
    /// Status code.
    pub(crate) status: u16,
    /// Body.
    pub(crate) body: String,
}

/// Sends a GET request; HTTP/1.0, so that the body is not chunked.
pub(crate) fn get(host: &str, port: u16, path: &str) -> io::Result<Page> {
    let mut stream = TcpStream::connect((host, port))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let status = text.split_whitespace().nth(1).and_then(|code| code.parse().ok());
    match (status, text.split_once("\r\n\r\n")) {
        (Some(status), Some((_, body))) => Ok(Page { status, body: body.to_owned() }),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}
