//! LabelScript by name, good and hostile.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::{Script, ScriptStep, Transport, encode, hostile, reply_to};

/// The pause after each octet of a dripping answer.
const DRIP_PAUSE: Duration = Duration::from_millis(5);

/// The first label of a name, up to its first `-`, says what becomes of the question:
///
/// | label | what happens |
/// | --- | --- |
/// | `ok` | one address, 192.0.2.1 or 2001:db8::1; NODATA for other types |
/// | `slow250` | the same after 250 ms |
/// | `big-40` | 40 addresses from 10.0.0.0 on; cut with TC where they do not fit a datagram |
/// | `tc` | empty with TC over UDP, one address over TCP |
/// | `nodata`, `nxdomain` | no address, with an SOA |
/// | `servfail`, `refused` | that response code |
/// | `silent` | nothing |
/// | `fin`, `rst` | the connection is closed or reset; nothing over UDP |
/// | `drip` | one address, octet by octet over TCP |
/// | `garbage` | octets that are no DNS message |
/// | `wrongid`, `wrongq`, `wrongclass` | one address under another ID, or for another question |
/// | `garbagegood`, `wrongidgood`, `wrongqgood`, `wrongclassgood` | that, and `ok` behind it |
/// | `spoof` | first `wrongid`, then `wrongq`, then `ok` |
/// | `cut` | `ok` without its last octets |
/// | `counts` | `ok` whose header promises 200 answers |
/// | `rdlen` | `ok` whose record says that it is longer than the message |
/// | `lenbig`, `lensmall` | `ok`, on streams behind a length that is too large, or too small |
/// | `trunc` | empty with TC, over TCP too |
/// | `huge` | 300 addresses over UDP, whatever size was asked for; 1,000 over TCP |
/// | `cnameloop` | two names that are each other's CNAME |
/// | `poison` | `ok`, and in each section an address of `ok-victim`, 203.0.113.66, which nobody asked for |
///
/// Other names do not exist. [`ClosedPort`](super::ClosedPort) is for upstreams that refuse connections.
#[derive(Clone, Copy, Debug)]
pub struct LabelScript {
    /// TTL of addresses, and of the SOA and its minimum, in seconds.
    pub ttl: u32,
    /// The one address of `ok` and others.
    pub address: Ipv4Addr,
}

impl Default for LabelScript {
    /// A TTL of 30 s, and 192.0.2.1.
    fn default() -> Self {
        Self { ttl: 30, address: Ipv4Addr::new(192, 0, 2, 1) }
    }
}

impl Script for LabelScript {
    fn steps(&self, query: &Message, transport: Transport) -> Vec<ScriptStep> {
        let first = query.queries.first().and_then(|asked| asked.name.iter().next()).unwrap_or_default();
        let label = String::from_utf8_lossy(first).to_ascii_lowercase();
        let mut words = label.split('-');
        let behaviour = words.next().unwrap_or_default();
        let ok = || encode(&self.addresses(query, 1), transport);
        match behaviour {
            "ok" => vec![ScriptStep::Send(ok())],
            "big" => {
                let count = words.next().and_then(|count| count.parse().ok()).unwrap_or(1);
                vec![ScriptStep::Send(encode(&self.addresses(query, count), transport))]
            }
            "tc" if transport == Transport::Tcp => vec![ScriptStep::Send(ok())],
            "tc" => vec![ScriptStep::Send(encode(&self.addresses(query, 1).truncate(), transport))],
            "nodata" => {
                vec![ScriptStep::Send(encode(&self.nothing(query, ResponseCode::NoError), transport))]
            }
            "servfail" => vec![ScriptStep::Send(encode(&bare(query, ResponseCode::ServFail), transport))],
            "refused" => vec![ScriptStep::Send(encode(&bare(query, ResponseCode::Refused), transport))],
            "silent" => Vec::new(),
            "fin" => vec![ScriptStep::Close],
            "rst" => vec![ScriptStep::Reset],
            "drip" => vec![ScriptStep::Drip(ok(), DRIP_PAUSE)],
            _ => match behaviour.strip_prefix("slow").and_then(|digits| digits.parse().ok()) {
                Some(milliseconds) => {
                    vec![ScriptStep::Wait(Duration::from_millis(milliseconds)), ScriptStep::Send(ok())]
                }
                None => hostile::steps(self, behaviour, (query, transport)).unwrap_or_else(|| {
                    vec![ScriptStep::Send(encode(&self.nothing(query, ResponseCode::NXDomain), transport))]
                }),
            },
        }
    }
}

impl LabelScript {
    /// `count` addresses for A and AAAA, NODATA for other types.
    pub(super) fn addresses(&self, query: &Message, count: u32) -> Message {
        let Some(asked) = query.queries.first() else { return reply_to(query) };
        let mut reply = reply_to(query);
        if (asked.query_type, count) == (RecordType::A, 1) {
            let record = Record::from_rdata(asked.name.clone(), self.ttl, RData::from(self.address));
            reply.answers.push(record);
            return reply;
        }
        let address: fn(u32) -> RData = match asked.query_type {
            RecordType::A => |index| RData::from(Ipv4Addr::from(0x0a00_0000 + index)),
            RecordType::AAAA => {
                |index| RData::from(Ipv6Addr::from(0x2001_0db8 << 96 | u128::from(index + 1)))
            }
            _ => return self.nothing(query, ResponseCode::NoError),
        };
        reply.answers = (0..count)
            .map(|index| Record::from_rdata(asked.name.clone(), self.ttl, address(index)))
            .collect();
        reply
    }

    fn nothing(&self, query: &Message, code: ResponseCode) -> Message {
        let mut reply = bare(query, code);
        let zone = query.queries.first().map_or_else(Name::root, |asked| asked.name.base_name());
        let ttl = self.ttl;
        let soa = SOA::new(zone.clone(), zone.clone(), 1, 7200, 1800, 86400, ttl);
        reply.authorities.push(Record::from_rdata(zone, ttl, RData::SOA(soa)));
        reply
    }
}

fn bare(query: &Message, code: ResponseCode) -> Message {
    let mut reply = reply_to(query);
    reply.metadata.response_code = code;
    reply
}
