//! Localhost and loopback names (`local`): localhost, names below it or with it as first label, and the
//! reverse names of 0/8, 127/8 and 255/8 (RFC 6761 section 6.3, RFC 6303 section 4.2).

use std::net::{Ipv4Addr, Ipv6Addr};

use wire::Response;
use wire::header::{Class, Rcode, RecordType};
use wire::name::{Name, is_within};
use wire::synthesized::{self, Owner, Sections, StartOfAuthority, SynthesizedData, SynthesizedRecord};

use super::FrontResult;
use crate::counters::Plugin;
use crate::request::RoutedQuery;

/// TTL of records and denials in seconds, CoreDNS's: a week.
const TTL: u32 = 604_800;

/// localhost. in wire form.
const LOCALHOST: &[u8] = b"\x09localhost\x00";
/// localhost as the first label of a name.
const LOCALHOST_LABEL: &[u8] = b"\x09localhost";
/// in-addr.arpa. in wire form.
const IN_ADDR_ARPA: &[u8] = b"\x07in-addr\x04arpa\x00";
/// The reverse zones in wire form, of three labels each.
const REVERSE_ZONES: [&[u8]; 3] =
    [b"\x010\x07in-addr\x04arpa\x00", b"\x03127\x07in-addr\x04arpa\x00", b"\x03255\x07in-addr\x04arpa\x00"];
const REVERSE_ZONE: Owner = Owner::Ancestor(3);
/// The reverse name of 127.0.0.1 in wire form.
const LOOPBACK: &[u8] = b"\x011\x010\x010\x03127\x07in-addr\x04arpa\x00";

/// What a name is to the directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LocalName {
    /// localhost.
    Localhost,
    /// A name below localhost., or one with localhost as first label.
    OfLocalhost,
    /// The name of a reverse zone.
    ReverseZone,
    /// The reverse name of 127.0.0.1.
    Loopback,
    /// Another name in a reverse zone: it does not exist.
    Missing,
}

/// The answer to a query for such a name; `None` leaves the query to the next directive.
pub(super) fn answer(localhost_prefix: bool, routed: &RoutedQuery<'_>) -> Option<FrontResult> {
    let query = routed.query;
    if query.qclass != Class::IN {
        return None;
    }
    let name = LocalName::of(query.name.as_wire(), localhost_prefix)?;
    if name == LocalName::OfLocalhost {
        routed.route.block.counters.localhost_requests.add(1);
    }
    let response = name.response(query.header.question, query.qtype)?;
    Some(FrontResult::Answer(response, Plugin::Local))
}

impl LocalName {
    /// `None` for any other lower-case wire name.
    fn of(name: &[u8], localhost_prefix: bool) -> Option<Self> {
        if name == LOCALHOST {
            return Some(Self::Localhost);
        }
        if localhost_prefix && name.starts_with(LOCALHOST_LABEL) || is_within(name, LOCALHOST) {
            return Some(Self::OfLocalhost);
        }
        if !name.ends_with(IN_ADDR_ARPA) {
            return None;
        }
        let zone = REVERSE_ZONES.into_iter().find(|zone| is_within(name, zone))?;
        Some(match name {
            LOOPBACK => Self::Loopback,
            name if name == zone => Self::ReverseZone,
            _ => Self::Missing,
        })
    }

    /// A record of this type, or a denial with an SOA.
    fn response(self, question: &[u8], qtype: RecordType) -> Option<Response<'static>> {
        let localhost = Name::parse("localhost").ok()?;
        let record = |owner, data| [SynthesizedRecord { owner, ttl: TTL, data }];
        let answer = match (self, qtype) {
            (Self::Localhost | Self::OfLocalhost, RecordType::A) => {
                SynthesizedData::Address(Ipv4Addr::LOCALHOST.into())
            }
            (Self::Localhost | Self::OfLocalhost, RecordType::AAAA) => {
                SynthesizedData::Address(Ipv6Addr::LOCALHOST.into())
            }
            (Self::Localhost | Self::ReverseZone, RecordType::NS) => SynthesizedData::NameServer(localhost),
            (Self::Localhost | Self::ReverseZone, RecordType::SOA) => start_of_authority(localhost)?,
            (Self::Loopback, RecordType::PTR) => SynthesizedData::Pointer(localhost),
            _ => {
                let authorities = record(self.zone(), start_of_authority(localhost)?);
                let sections = Sections { authorities: &authorities, ..Sections::default() };
                return synthesized::response(question, self.denial(), sections);
            }
        };
        let answers = record(Owner::Question, answer);
        let sections = Sections { answers: &answers, ..Sections::default() };
        synthesized::response(question, Rcode::NOERROR, sections)
    }

    /// The owner of the SOA of a denial.
    fn zone(self) -> Owner {
        match self {
            Self::Localhost | Self::OfLocalhost | Self::ReverseZone => Owner::Question,
            Self::Loopback | Self::Missing => REVERSE_ZONE,
        }
    }

    /// The response code of a denial.
    fn denial(self) -> Rcode {
        if self == Self::Missing { Rcode::NXDOMAIN } else { Rcode::NOERROR }
    }
}

fn start_of_authority(mname: Name) -> Option<SynthesizedData> {
    let rname = Name::parse("root.localhost").ok()?;
    Some(SynthesizedData::StartOfAuthority(StartOfAuthority { mname, rname, minimum: TTL }))
}
