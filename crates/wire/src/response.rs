//! Responses of upstreams: response type, matching against the query, positions of TTLs and OPT. Only
//! what belongs to the answer is left of them.

mod chain;
mod names;
mod rrsig;
mod scrub;

use std::borrow::Cow;

use chain::Chain;
use scrub::Scrub;

use crate::compress;
use crate::edns::{self, ExtendedError};
use crate::header::{Flags, HEADER_LEN, Header, Rcode, RecordType};
use crate::name;
use crate::octets::u32_at;
use crate::record::{Record, RecordParser, Section};

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
/// compression pointer points back. Records that do not belong to the answer are removed.
#[derive(Clone, Debug)]
pub struct Response<'p> {
    /// The octets as received, up to the end of the last counted record; others when records were
    /// removed, or names in RDATA expanded.
    pub packet: Cow<'p, [u8]>,
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
    /// Octets that it has in addition without name compression.
    pub(crate) saved_octets: i32,
}

impl<'p> Response<'p> {
    /// Parses a response. Not part of it are: records that are unrelated to the question (a cache
    /// poisoning attempt), TSIG, TKEY and SIG(0) (RFC 8945), OPT outside the additional section (RFC
    /// 6891 section 6.1.1), records of another class, authority and additional records with invalid
    /// RDATA, and all records of SERVFAIL and NOTIMP. Names in RDATA are expanded where they may not
    /// be compressed (RFC 3597 section 4).
    ///
    /// # Errors
    /// [`Malformed`] when it is not a response (QR=0, opcode not QUERY), does not have exactly one
    /// question, or contains an invalid count, length or pointer, an answer record whose RDATA does
    /// not have the format of its type, or an invalid OPT record.
    pub fn parse(packet: &'p [u8]) -> Result<Self, Malformed> {
        let (header, question_end) = read_question(packet).ok_or(Malformed)?;
        let parser = RecordParser::new(packet, question_end).ok_or(Malformed)?;
        let mut received = Received::read(header, question_end, parser).ok_or(Malformed)?;
        let removed = received.removed(packet).ok_or(Malformed)?;
        if removed.is_empty() && !received.has_compressed_rdata && !received.is_opt_followed {
            let packet = packet.get(..received.len).ok_or(Malformed)?;
            return received.into_response(Cow::Borrowed(packet)).ok_or(Malformed);
        }
        let written = compress::without(packet, question_end, &removed, received.opt.as_ref());
        let response = written.and_then(|packet| Self::read_written(packet, question_end));
        let mut response = response.ok_or(Malformed)?;
        response.has_trailing_octets = received.has_trailing_octets;
        // Without its records an answer would look like one that says there are none.
        let has_none = matches!(response.response_type, ResponseType::Empty | ResponseType::Delegation);
        if has_none && header.ancount > 0 {
            response.response_type = ResponseType::IncompleteChain;
        }
        Ok(response)
    }

    /// Parses a cached message whose answer may be for another name or type than its question, as
    /// behind `rewrite`. It keeps all records.
    ///
    /// # Errors
    /// As [`Self::parse`], and for records that no cached message has.
    pub fn parse_rewritten(packet: &'p [u8]) -> Result<Self, Malformed> {
        let (header, question_end) = read_question(packet).ok_or(Malformed)?;
        let parser = RecordParser::new(packet, question_end).ok_or(Malformed)?;
        let received = Received::read(header, question_end, parser).ok_or(Malformed)?;
        if !received.invalid.is_empty() || received.has_compressed_rdata || received.opt.is_some() {
            return Err(Malformed);
        }
        let packet = packet.get(..received.len).ok_or(Malformed)?;
        let mut response = received.into_response(Cow::Borrowed(packet)).ok_or(Malformed)?;
        if response.response_type == ResponseType::IncompleteChain {
            response.response_type = ResponseType::Positive;
        }
        Ok(response)
    }

    /// Reads a message that this crate has written.
    pub(crate) fn read_written(packet: Vec<u8>, question_end: usize) -> Option<Self> {
        let parser = RecordParser::new(&packet, question_end)?.without_step_limit();
        let received = Received::read(Header::read(&packet)?, question_end, parser)?;
        received.into_response(Cow::Owned(packet))
    }

    /// True when `time`, in seconds since 1970, lies in the validity period of every RRSIG; the
    /// bounds are serial numbers (RFC 4034 section 3.1.5). Signatures are not verified.
    pub fn rrsigs_valid_at(&self, time: u64) -> bool {
        rrsig::all_valid_at(&self.packet, &self.ttls, time)
    }

    /// True when the question equals `question` (QNAME, QTYPE, QCLASS as octets), QNAME without
    /// regard to case (RFC 5452 section 9.1).
    pub fn matches_question(&self, question: &[u8]) -> bool {
        let own =
            self.packet.get(HEADER_LEN..HEADER_LEN + usize::from(self.question_len)).unwrap_or_default();
        // Only letters of QNAME may differ in case: types 65 and 97 are not letters.
        own.eq_ignore_ascii_case(question) && own.last_chunk::<4>() == question.last_chunk::<4>()
    }

    /// The extended error in OPT (RFC 8914).
    pub fn extended_error(&self) -> Option<ExtendedError> {
        let opt = Record::read_validated(&self.packet, usize::from(self.opt?.0))?;
        edns::extended_error(&self.packet, &opt)
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

/// What parsing finds in the octets of a response as received.
struct Received {
    header: Header,
    rcode: Rcode,
    response_type: ResponseType,
    question_end: usize,
    /// Octets up to the end of the last counted record.
    len: usize,
    has_trailing_octets: bool,
    soa_minimum: Option<u32>,
    chain: Chain,
    ttls: Vec<u16>,
    min_ttl: Option<u32>,
    opt: Option<Record>,
    is_opt_followed: bool,
    /// Indices of records that are invalid in any response.
    invalid: Vec<u16>,
    has_pointers: bool,
    has_compressed_rdata: bool,
    saved_octets: isize,
}

impl Received {
    fn read(header: Header, question_end: usize, mut parser: RecordParser<'_>) -> Option<Self> {
        let packet = parser.packet;
        parser.section(Section::Answer, header.ancount, |_| ())?;
        let (mut soa_minimum, mut ns) = (None, false);
        parser.section(Section::Authority, header.nscount, |record| {
            if record.rtype == RecordType::SOA {
                soa_minimum = soa_minimum.or_else(|| minimum(packet, record));
            }
            ns |= record.rtype == RecordType::NS;
        })?;
        parser.section(Section::Additional, header.arcount, |_| ())?;
        let rcode = match &parser.opt {
            None => header.flags.rcode(),
            Some(opt) => edns::read(packet, opt, header.flags.rcode())?.1,
        };
        let chain = Chain::follow(packet, question_end, header.ancount, &parser.invalid)?;
        let has_soa = soa_minimum.is_some();
        let response_type = match rcode {
            Rcode::NOERROR if chain.reaches_type => ResponseType::Positive,
            Rcode::NOERROR if has_soa => ResponseType::NoData,
            Rcode::NOERROR if header.ancount > 0 => ResponseType::IncompleteChain,
            Rcode::NOERROR if ns => ResponseType::Delegation,
            Rcode::NOERROR => ResponseType::Empty,
            Rcode::NXDOMAIN if has_soa => ResponseType::NameError,
            Rcode::SERVFAIL | Rcode::NOTIMP => ResponseType::ServerFailure,
            _ => ResponseType::Other,
        };
        Some(Self {
            header,
            rcode,
            response_type,
            question_end,
            len: parser.at,
            has_trailing_octets: parser.at < packet.len(),
            soa_minimum,
            chain,
            ttls: parser.ttls,
            min_ttl: parser.min_ttl,
            opt: parser.opt,
            is_opt_followed: parser.is_opt_followed,
            invalid: parser.invalid,
            has_pointers: parser.decompression_steps > 0,
            has_compressed_rdata: parser.has_compressed_rdata,
            saved_octets: parser.saved_octets,
        })
    }

    /// Indices of the records that do not belong to the answer, in order.
    fn removed(&mut self, packet: &[u8]) -> Option<Vec<u16>> {
        let invalid = std::mem::take(&mut self.invalid);
        // Extended response codes become SERVFAIL.
        let is_extended = self.rcode != self.header.flags.rcode();
        if is_extended || self.response_type == ResponseType::ServerFailure {
            let is_empty = self.ttls.is_empty() && invalid.is_empty();
            return Some(if is_empty { invalid } else { (0..u16::MAX).collect() });
        }
        let scrub = Scrub {
            packet,
            header: self.header,
            question_end: self.question_end,
            chain: &self.chain,
            is_denial: matches!(self.response_type, ResponseType::NoData | ResponseType::NameError),
        };
        let has_opt_only = self.header.nscount == 0 && self.header.arcount == u16::from(self.opt.is_some());
        if has_opt_only { Some(scrub.answer_only(invalid)) } else { scrub.removed(invalid) }
    }

    fn into_response(self, packet: Cow<'_, [u8]>) -> Option<Response<'_>> {
        let opt = match &self.opt {
            None => None,
            Some(opt) => Some((u16::try_from(opt.owner).ok()?, u16::try_from(opt.end).ok()?)),
        };
        Some(Response {
            packet,
            header: self.header,
            rcode: self.rcode,
            response_type: self.response_type,
            min_ttl: self.min_ttl,
            has_trailing_octets: self.has_trailing_octets,
            soa_minimum: self.soa_minimum,
            question_len: u16::try_from(self.question_end - HEADER_LEN).ok()?,
            ttls: self.ttls,
            opt,
            has_pointers: self.has_pointers,
            saved_octets: i32::try_from(self.saved_octets).ok()?,
        })
    }
}
