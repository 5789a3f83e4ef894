//! Responses of upstreams: response type, matching against the query, positions of TTLs and OPT.

mod chain;
mod rrsig;

use chain::Chain;

use crate::edns;
use crate::header::{Flags, HEADER_LEN, Header, Rcode, RecordType};
use crate::name;
use crate::octets::u32_at;
use crate::record::{Record, RecordParser};
use crate::scrub;

/// The type of a response; determines whether and how it is cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseType {
    /// NOERROR with QTYPE at the end of the CNAME chain, or records for QTYPE ANY.
    Positive,
    /// NOERROR, an SOA in authority and no record of QTYPE (RFC 2308 section 2.2).
    NoData,
    /// NXDOMAIN with an SOA in authority (RFC 2308 section 2.1).
    NameError,
    /// NOERROR, no answer, no SOA, NS records in authority.
    Delegation,
    /// NOERROR without answer, SOA or NS records.
    Empty,
    /// NOERROR, a CNAME chain that does not reach QTYPE, no SOA: must not be cached.
    IncompleteChain,
    /// SERVFAIL or NOTIMP.
    ServerFailure,
    /// Any other response code, or NXDOMAIN without an SOA.
    Other,
}

/// The octets are not a valid response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// A parsed and validated response: every record is inside the packet, every name ends, every
/// compression pointer points back.
#[derive(Clone, Debug)]
pub struct Response<'p> {
    /// The octets up to the end of the last counted record.
    pub packet: &'p [u8],
    /// The header.
    pub header: Header,
    /// The response code, including the upper bits in OPT.
    pub rcode: Rcode,
    /// The response type.
    pub response_type: ResponseType,
    /// The smallest TTL of all records but OPT, in seconds; absent without records. Values above
    /// 2^31-1 are large, not negative (RFC 8767 section 4): the cache has an upper bound.
    pub min_ttl: Option<u32>,
    /// Octets followed the last counted record. On a stream, the length prefix was too large.
    pub has_trailing_octets: bool,
    /// MINIMUM of the SOA in authority, in seconds: bounds the TTL of a negative answer (RFC 2308
    /// section 5).
    pub soa_minimum: Option<u32>,
    /// Octets of the question section (QNAME, QTYPE, QCLASS).
    pub(crate) question_len: u16,
    /// The positions of the TTLs of all records but OPT, in order.
    pub(crate) ttls: Vec<u16>,
    /// Start and end of OPT.
    pub(crate) opt: Option<(u16, u16)>,
    /// At least one name is compressed.
    pub(crate) has_pointers: bool,
    /// Indices of the answer records that are unrelated to the question.
    unrelated: Vec<u16>,
}

impl<'p> Response<'p> {
    /// Parses a response.
    ///
    /// # Errors
    /// [`Malformed`] when it is not a response (QR=0, opcode not QUERY), does not have exactly one
    /// question, contains an invalid count, length or pointer, or an OPT record outside the
    /// additional section.
    pub fn parse(packet: &'p [u8]) -> Result<Self, Malformed> {
        Self::read(packet).ok_or(Malformed)
    }

    /// The message without the OPT records in its answer and authority sections, which are not
    /// allowed there (RFC 6891 section 6.1.1). Nothing when there are none, or when a record is
    /// malformed.
    pub fn without_misplaced_opt(packet: &[u8]) -> Option<Vec<u8>> {
        let (header, question_end) = read_question(packet)?;
        if !has_opt(packet, question_end, header.ancount, header.nscount) {
            return None;
        }
        let mut parser = RecordParser::new(packet, question_end);
        parser.section(header.ancount, |_| ())?;
        parser.section(header.nscount, |_| ())?;
        parser.additional(header.arcount)?;
        scrub::without(packet, question_end, &parser.misplaced_opts)
    }

    fn read(packet: &'p [u8]) -> Option<Self> {
        let (header, question_end) = read_question(packet)?;
        let mut parser = RecordParser::new(packet, question_end);
        parser.section(header.ancount, |_| ())?;
        let (mut soa_minimum, mut ns) = (None, false);
        parser.section(header.nscount, |record| {
            if record.rtype == RecordType::SOA {
                soa_minimum = soa_minimum.or_else(|| minimum(packet, record));
            }
            ns |= record.rtype == RecordType::NS;
        })?;
        let soa = soa_minimum.is_some();
        parser.additional(header.arcount)?;
        if !parser.misplaced_opts.is_empty() {
            return None;
        }
        let has_trailing_octets = parser.at < packet.len();
        let packet = packet.get(..parser.at)?;
        let rcode = match &parser.opt {
            None => header.flags.rcode(),
            Some(opt) => edns::read(packet, opt, header.flags.rcode())?.1,
        };
        let chain = Chain::follow(packet, question_end, header.ancount)?;
        let response_type = match rcode {
            Rcode::NOERROR if chain.reaches_type => ResponseType::Positive,
            Rcode::NOERROR if soa => ResponseType::NoData,
            Rcode::NOERROR if header.ancount > 0 => ResponseType::IncompleteChain,
            Rcode::NOERROR if ns => ResponseType::Delegation,
            Rcode::NOERROR => ResponseType::Empty,
            Rcode::NXDOMAIN if soa => ResponseType::NameError,
            Rcode::SERVFAIL | Rcode::NOTIMP => ResponseType::ServerFailure,
            _ => ResponseType::Other,
        };
        let opt = match &parser.opt {
            None => None,
            Some(opt) => Some((u16::try_from(opt.owner).ok()?, u16::try_from(opt.end).ok()?)),
        };
        Some(Self {
            packet,
            header,
            rcode,
            response_type,
            min_ttl: parser.min_ttl,
            has_trailing_octets,
            soa_minimum,
            question_len: u16::try_from(question_end - HEADER_LEN).ok()?,
            ttls: parser.ttls,
            opt,
            has_pointers: parser.decompression_steps > 0,
            unrelated: chain.unrelated,
        })
    }

    /// Scrubs the answer section: the message without records that are unrelated to the question (a
    /// cache poisoning attempt), or nothing when there are none.
    ///
    /// # Errors
    /// [`Malformed`] when the message with uncompressed names exceeds 65,535 octets.
    pub fn scrub(&self) -> Result<Option<Vec<u8>>, Malformed> {
        if self.unrelated.is_empty() {
            return Ok(None);
        }
        let question_end = HEADER_LEN + usize::from(self.question_len);
        scrub::without(self.packet, question_end, &self.unrelated).map(Some).ok_or(Malformed)
    }

    /// True when `time`, in seconds since 1970, lies in the validity period of every RRSIG; the
    /// bounds are serial numbers (RFC 4034 section 3.1.5). Signatures are not verified.
    pub fn rrsigs_valid_at(&self, time: u64) -> bool {
        rrsig::all_valid_at(self.packet, &self.ttls, time)
    }

    /// True when the question equals `question` (QNAME, QTYPE, QCLASS as octets), QNAME without
    /// regard to case (RFC 5452 section 9.1).
    pub fn matches_question(&self, question: &[u8]) -> bool {
        let own =
            self.packet.get(HEADER_LEN..HEADER_LEN + usize::from(self.question_len)).unwrap_or_default();
        // Only letters of QNAME may differ in case: types 65 and 97 are not letters.
        own.eq_ignore_ascii_case(question) && own.last_chunk::<4>() == question.last_chunk::<4>()
    }

    /// True when the sender supports EDNS (RFC 6891 section 7).
    pub fn has_opt(&self) -> bool {
        self.opt.is_some()
    }
}

/// The header of a response to one question, and the end of that question.
fn read_question(packet: &[u8]) -> Option<(Header, usize)> {
    let header = Header::read(packet)?;
    if !header.flags.has(Flags::QR) || header.flags.opcode() != 0 || header.qdcount != 1 {
        return None;
    }
    Some((header, name::uncompressed_end(packet, HEADER_LEN)? + 4))
}

/// MINIMUM, the last field of a validated SOA record.
fn minimum(packet: &[u8], soa: &Record) -> Option<u32> {
    u32_at(packet, soa.end.checked_sub(4)?)
}

/// True when one of the records of the answer and authority sections is an OPT record.
fn has_opt(packet: &[u8], question_end: usize, answers: u16, authority: u16) -> bool {
    let mut at = question_end;
    (0..u32::from(answers) + u32::from(authority))
        .map_while(|_| {
            let record = Record::read_validated(packet, at)?;
            at = record.end;
            Some(record.rtype)
        })
        .any(|rtype| rtype == RecordType::OPT)
}
