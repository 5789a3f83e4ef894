//! The values of the `log` directive's placeholders, read from a response as it was sent.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use resolver::action::{ClientResponse, ResponseInfo, Transport};
use wire::header::{Class, Flags, HEADER_LEN, Header, Rcode, RecordType};
use wire::response::Response;

use super::response_class::LoggedType;

/// A response as it was sent.
#[derive(Clone, Copy, Debug)]
pub struct SentResponse<'a> {
    /// The resolver's record of it.
    pub response: &'a ClientResponse,
    /// Its octets.
    pub message: &'a [u8],
    /// The local address that the query was sent to.
    pub local: IpAddr,
    /// The upstream that it is from, or that was queried last.
    pub upstream: Option<SocketAddr>,
    /// When it was sent.
    pub now: Instant,
}

/// The values of the placeholders.
pub(super) struct Fields {
    pub(super) info: ResponseInfo,
    pub(super) peer: SocketAddr,
    pub(super) transport: Transport,
    pub(super) local: IpAddr,
    pub(super) upstream: Option<SocketAddr>,
    pub(super) response_type: LoggedType,
    pub(super) seconds: f64,
    pub(super) id: u16,
    pub(super) flags: Flags,
    /// The extended RCODE (RFC 6891).
    pub(super) rcode: Rcode,
    /// QNAME in lower case, in wire form.
    pub(super) qname: Vec<u8>,
    pub(super) qtype: RecordType,
    pub(super) qclass: Class,
}

impl Fields {
    pub(super) fn read(sent: &SentResponse<'_>, info: ResponseInfo) -> Option<Self> {
        let header = Header::read(sent.message)?;
        let (name, rest) = split_name(sent.message.get(HEADER_LEN..)?)?;
        let [t0, t1, c0, c1] = *rest.first_chunk()?;
        let response = Response::parse(sent.message).ok();
        Some(Self {
            info,
            peer: sent.response.client.peer,
            transport: sent.response.client.transport(),
            local: sent.local,
            upstream: sent.upstream,
            response_type: LoggedType::of(response.as_ref()),
            seconds: sent.now.saturating_duration_since(info.received).as_secs_f64(),
            id: header.id,
            flags: header.flags,
            rcode: response.map_or_else(|| header.flags.rcode(), |response| response.rcode),
            qname: name.to_ascii_lowercase(),
            qtype: RecordType(u16::from_be_bytes([t0, t1])),
            qclass: Class(u16::from_be_bytes([c0, c1])),
        })
    }
}

/// Splits after an uncompressed name.
fn split_name(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut end = 0;
    loop {
        let len = usize::from(*octets.get(end)?);
        end += 1 + len;
        if len == 0 {
            return octets.split_at_checked(end);
        }
    }
}
