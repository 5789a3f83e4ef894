//! Synthesized responses: authoritative answers with records of our own, encoded by hickory-proto. Off
//! the path of a cache hit.

use std::net::IpAddr;
use std::sync::Arc;

use hickory_proto::op::Query;
use hickory_proto::rr::rdata::{A, AAAA, HINFO, NS, PTR, SOA, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

use crate::header::Rcode;
use crate::response::Response;
use crate::{encode, name};

/// A record of a synthesized response, of the class of the question.
#[derive(Clone, Debug)]
pub struct SynthesizedRecord {
    /// The owner.
    pub owner: Owner,
    /// In seconds.
    pub ttl: u32,
    /// Type and RDATA.
    pub data: SynthesizedData,
}

/// The owner of a record, by its relation to QNAME.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// QNAME.
    Question,
    /// This label in front of QNAME.
    Child(&'static str),
    /// The last labels of QNAME, this many without the root.
    Ancestor(u8),
}

/// Type and RDATA of a synthesized record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SynthesizedData {
    /// A or AAAA.
    Address(IpAddr),
    /// HINFO: CPU and operating system.
    HostInfo(&'static str, &'static str),
    /// NS.
    NameServer(name::Name),
    /// PTR.
    Pointer(name::Name),
    /// SRV with this port, priority and weight 0, and the root as target.
    Port(u16),
    /// SOA.
    StartOfAuthority(StartOfAuthority),
    /// TXT with one character string, at most 255 octets (RFC 1035 section 3.3).
    Text(Arc<[u8]>),
}

/// RDATA of an SOA with serial number 1 for a zone that is not transferred: REFRESH, RETRY and EXPIRE
/// are 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartOfAuthority {
    /// MNAME: the primary name server.
    pub mname: name::Name,
    /// RNAME: the mailbox of the person responsible.
    pub rname: name::Name,
    /// MINIMUM, in seconds.
    pub minimum: u32,
}

/// The sections of a response.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sections<'r> {
    /// Answer section.
    pub answers: &'r [SynthesizedRecord],
    /// Authority section.
    pub authorities: &'r [SynthesizedRecord],
    /// Additional section.
    pub additionals: &'r [SynthesizedRecord],
}

/// A response with AA to a question (QNAME, QTYPE, QCLASS as octets); `rcode` has four bits.
///
/// `None` for octets that are no question, and for records that no message holds.
pub fn response(question: &[u8], rcode: Rcode, sections: Sections<'_>) -> Option<Response<'static>> {
    let Sections { answers, authorities, additionals } = sections;
    encode::response(question, rcode, |query| {
        let build = |records: &[SynthesizedRecord]| {
            records.iter().map(|record| record.build(query)).collect::<Option<Vec<_>>>()
        };
        Some([build(answers)?, build(authorities)?, build(additionals)?])
    })
}

/// A NOERROR response with these answers; if they are more than a message holds, with the first half
/// of them, or half of that, and so on: some of them are better than none.
///
/// `None` for octets that are no question, and for an answer that no message holds.
pub fn largest_response(question: &[u8], mut answers: &[SynthesizedRecord]) -> Option<Response<'static>> {
    loop {
        let sections = Sections { answers, ..Sections::default() };
        if let Some(response) = response(question, Rcode::NOERROR, sections) {
            return Some(response);
        }
        let half = answers.len().checked_div(2).filter(|half| *half > 0)?;
        answers = answers.get(..half)?;
    }
}

impl SynthesizedRecord {
    /// `None` when the owner is too long.
    fn build(&self, query: &Query) -> Option<Record> {
        let qname = query.name();
        let owner = match self.owner {
            Owner::Question => qname.clone(),
            Owner::Child(label) => qname.prepend_label(label).ok()?,
            Owner::Ancestor(labels) => qname.trim_to(labels.into()),
        };
        let mut record = Record::from_rdata(owner, self.ttl, self.data.build()?);
        record.dns_class = query.query_class();
        Some(record)
    }
}

impl SynthesizedData {
    fn build(&self) -> Option<RData> {
        Some(match self {
            Self::Address(IpAddr::V4(ip)) => RData::A(A(*ip)),
            Self::Address(IpAddr::V6(ip)) => RData::AAAA(AAAA(*ip)),
            Self::HostInfo(cpu, os) => RData::HINFO(HINFO::new((*cpu).to_owned(), (*os).to_owned())),
            Self::NameServer(target) => RData::NS(NS(decoded(target)?)),
            Self::Pointer(target) => RData::PTR(PTR(decoded(target)?)),
            Self::Port(port) => RData::SRV(SRV::new(0, 0, *port, Name::root())),
            Self::StartOfAuthority(StartOfAuthority { mname, rname, minimum }) => {
                RData::SOA(SOA::new(decoded(mname)?, decoded(rname)?, 1, 0, 0, 0, *minimum))
            }
            Self::Text(text) => RData::TXT(TXT::from_bytes(vec![text])),
        })
    }
}

fn decoded(name: &name::Name) -> Option<Name> {
    Name::read(&mut BinDecoder::new(name.as_wire())).ok()
}
