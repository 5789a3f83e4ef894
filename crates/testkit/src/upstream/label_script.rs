//! [`LabelScript`] and the responses of a correct server.

use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::reply::reply_to;

/// A script selected by the first label of QNAME, up to its first `-`:
///
/// | label | reaction |
/// | --- | --- |
/// | `ok` | one address, 192.0.2.1 or 2001:db8::1; NODATA for other types |
/// | `slow250` | the same after 250 ms |
/// | `big-40` | 40 addresses from 10.0.0.0; TC if they do not fit a datagram |
/// | `tc` | TC and no records over UDP, one address over TCP |
/// | `nodata`, `nxdomain` | no address, an SOA |
/// | `servfail`, `refused` | that response code |
/// | `silent` | no response |
/// | `fin`, `rst` | closes or resets the connection; no response over UDP |
/// | `drip` | one address, octet by octet over TCP |
/// | `garbage` | octets that are not a DNS message |
/// | `wrongid`, `wrongq`, `wrongclass` | one address with another ID, name or class |
/// | `garbagegood`, `wrongidgood`, `wrongqgood`, `wrongclassgood` | that, followed by `ok` |
/// | `spoof` | `wrongid`, then `wrongq`, then `ok` |
/// | `cut` | `ok` without its last octets |
/// | `eleven` | the first 11 octets of `ok`, less than a header |
/// | `counts` | `ok` with ANCOUNT 200 |
/// | `rdlen` | `ok` whose RDLENGTH exceeds the message |
/// | `lenbig`, `lensmall` | `ok` with a TCP length prefix that is too large or too small |
/// | `trunc` | TC and no records, over TCP too |
/// | `huge` | 300 addresses over UDP, whatever the payload size; 1,000 over TCP |
/// | `cnameloop` | two names that are CNAMEs of each other |
/// | `poison` | `ok`, and an unrelated record for `ok-victim` (203.0.113.66) in each section |
///
/// Other labels get NXDOMAIN.
#[derive(Clone, Copy, Debug)]
pub struct LabelScript {
    /// TTL of addresses, of the SOA and its minimum, in seconds.
    pub ttl: u32,
    /// The address of `ok` and others.
    pub address: Ipv4Addr,
}

impl Default for LabelScript {
    /// TTL 30 s, address 192.0.2.1.
    fn default() -> Self {
        Self { ttl: 30, address: Ipv4Addr::new(192, 0, 2, 1) }
    }
}

impl LabelScript {
    /// `count` addresses for A and AAAA, NODATA for other types.
    pub(super) fn addresses(&self, query: &Message, count: u32) -> Message {
        let mut reply = reply_to(query);
        let Some(question) = query.queries.first() else { return reply };
        let record = |data| Record::from_rdata(question.name.clone(), self.ttl, data);
        if (question.query_type, count) == (RecordType::A, 1) {
            reply.answers.push(record(RData::from(self.address)));
            return reply;
        }
        let address: fn(u32) -> RData = match question.query_type {
            RecordType::A => |index| RData::from(Ipv4Addr::from(0x0a00_0000 + index)),
            RecordType::AAAA => {
                |index| RData::from(Ipv6Addr::from(0x2001_0db8 << 96 | u128::from(index + 1)))
            }
            _ => return self.negative(query, ResponseCode::NoError),
        };
        reply.answers = (0..count).map(|index| record(address(index))).collect();
        reply
    }

    /// NODATA or NXDOMAIN with the SOA of the parent zone.
    pub(super) fn negative(&self, query: &Message, code: ResponseCode) -> Message {
        let mut reply = without_records(query, code);
        let question = query.queries.first();
        let zone = question.map_or_else(Name::root, |question| question.name.base_name());
        let soa = SOA::new(zone.clone(), zone.clone(), 1, 7200, 1800, 86400, self.ttl);
        reply.authorities.push(Record::from_rdata(zone, self.ttl, RData::SOA(soa)));
        reply
    }
}

/// A response code and nothing else.
pub(super) fn without_records(query: &Message, code: ResponseCode) -> Message {
    let mut reply = reply_to(query);
    reply.metadata.response_code = code;
    reply
}
