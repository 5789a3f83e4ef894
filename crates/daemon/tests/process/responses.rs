//! Parts of DNS and HTTP responses that tests compare.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use hickory_proto::rr::rdata::opt::EdnsOption;
use testkit::ResponseCode;
use testkit::client::{QueryOptions, Response};

use crate::fixture::WAIT_LIMIT;

/// GET of an HTTP endpoint: status and body; `None` when the port is closed.
pub(crate) fn get(server: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&server, WAIT_LIMIT).ok()?;
    stream.set_read_timeout(Some(WAIT_LIMIT)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

pub(crate) fn code(reply: &Response) -> ResponseCode {
    reply.message.metadata.response_code
}

/// RDATA of the answer section.
pub(crate) fn data(reply: &Response) -> Vec<String> {
    reply.message.answers.iter().map(|record| record.data.to_string()).collect()
}

/// TTL of the first answer record.
pub(crate) fn ttl(reply: &Response) -> u32 {
    reply.message.answers[0].ttl
}

/// Extended DNS Error code (RFC 8914).
pub(crate) fn extended_error(reply: &Response) -> Option<u16> {
    let options = reply.message.edns.as_ref()?.options().as_ref();
    options.iter().find_map(|(code, option)| match option {
        EdnsOption::Unknown(15, octets) if u16::from(*code) == 15 => {
            octets.first_chunk().map(|code| u16::from_be_bytes(*code))
        }
        _ => None,
    })
}

/// Options of a stub resolver with EDNS.
pub(crate) fn with_edns() -> QueryOptions {
    QueryOptions { edns: Some(1232), ..QueryOptions::default() }
}
