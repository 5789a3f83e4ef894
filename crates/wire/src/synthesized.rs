//! Synthesized responses: authoritative answers with records of our own, encoded by hickory-proto. Off
//! the path of a cache hit.

use std::net::IpAddr;

use hickory_proto::op::{Message, OpCode, Query};
use hickory_proto::rr::rdata::{A, AAAA, HINFO, PTR, SRV};
use hickory_proto::rr::{Name, RData, Record};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

use crate::header::HEADER_LEN;
use crate::name;
use crate::response::Response;

/// A record of a synthesized response.
#[derive(Clone, Debug)]
pub struct SynthesizedRecord {
    /// Labels in front of QNAME; the owner is QNAME without any.
    pub prefix: Option<&'static str>,
    /// In seconds.
    pub ttl: u32,
    /// Type and RDATA.
    pub data: SynthesizedData,
}

/// Type and RDATA of a synthesized record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SynthesizedData {
    /// A or AAAA.
    Address(IpAddr),
    /// HINFO: CPU and operating system.
    HostInfo(&'static str, &'static str),
    /// PTR.
    Pointer(name::Name),
    /// SRV with this port, priority and weight 0, and the root as target.
    Port(u16),
}

/// A NOERROR response with AA to a question (QNAME, QTYPE, QCLASS as octets) of class IN.
///
/// `None` for octets that are no question.
pub fn response(
    question: &[u8],
    answers: &[SynthesizedRecord],
    additional: &[SynthesizedRecord],
) -> Option<Response<'static>> {
    let query = Query::read(&mut BinDecoder::new(question)).ok()?;
    let name = query.name().clone();
    let mut message = Message::response(0, OpCode::Query);
    message.metadata.authoritative = true;
    message.add_query(query);
    message.answers = answers.iter().map(|record| record.build(&name)).collect::<Option<_>>()?;
    message.additionals = additional.iter().map(|record| record.build(&name)).collect::<Option<_>>()?;
    Response::read_written(message.to_vec().ok()?, HEADER_LEN + question.len())
}

impl SynthesizedRecord {
    /// `None` when the owner is too long.
    fn build(&self, qname: &Name) -> Option<Record> {
        let owner = match self.prefix {
            Some(label) => qname.prepend_label(label).ok()?,
            None => qname.clone(),
        };
        let data = match &self.data {
            SynthesizedData::Address(IpAddr::V4(ip)) => RData::A(A(*ip)),
            SynthesizedData::Address(IpAddr::V6(ip)) => RData::AAAA(AAAA(*ip)),
            SynthesizedData::HostInfo(cpu, os) => {
                RData::HINFO(HINFO::new((*cpu).to_owned(), (*os).to_owned()))
            }
            SynthesizedData::Pointer(target) => {
                RData::PTR(PTR(Name::read(&mut BinDecoder::new(target.as_wire())).ok()?))
            }
            SynthesizedData::Port(port) => RData::SRV(SRV::new(0, 0, *port, Name::root())),
        };
        Some(Record::from_rdata(owner, self.ttl, data))
    }
}
