//! Queries: parsing a client's query, and why one is rejected.

mod outgoing;

use hickory_proto::op::Message;

use crate::edns::{self, Edns};
use crate::header::{Class, Flags, HEADER_LEN, Header, RecordType};
use crate::name::{self, LowerName, NameBuffer};
use crate::record::{Record, RecordParser, Section};

pub use outgoing::OutgoingQuery;

/// The fields of a query that its response repeats or depends on.
#[derive(Clone, Copy, Debug)]
pub struct RequestHeader<'a> {
    /// The client's ID.
    pub id: u16,
    /// The client's flags as sent; responses copy RD and CD and honour AD.
    pub flags: Flags,
    /// QNAME, QTYPE and QCLASS as sent, letter case kept (RFC 4343 section 4.1).
    pub question: &'a [u8],
    /// The client's OPT, if it sent one.
    pub edns: Option<Edns>,
}

/// A query with exactly one valid question, opcode QUERY, at most one OPT of version 0.
#[derive(Clone, Copy, Debug)]
pub struct Query<'p> {
    /// What the response needs.
    pub header: RequestHeader<'p>,
    /// QNAME in lower case.
    pub name: LowerName<'p>,
    /// QTYPE.
    pub qtype: RecordType,
    /// QCLASS.
    pub qclass: Class,
}

/// Why a packet is not a valid query, which determines the error response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// Shorter than a header, or a response (QR=1): no response, so that two servers cannot loop.
    Drop,
    /// An opcode other than QUERY: a bare NOTIMP header.
    NotImplemented,
    /// Invalid counts, names or records: a bare FORMERR header.
    FormatError,
    /// EDNS version other than 0: BADVERS (RFC 6891 section 6.1.3).
    BadVersion,
}

impl<'p> Query<'p> {
    /// Parses a client's packet; `buffer` is for the name. Does not allocate for a header, one question and at most one OPT;
    /// packets with other records are validated as a whole, which may allocate.
    ///
    /// # Errors
    /// A [`Rejection`]; [`crate::reply::rejection`] writes the error response.
    pub fn parse(packet: &'p [u8], buffer: &'p mut NameBuffer) -> Result<Self, Rejection> {
        let header = Header::read(packet).ok_or(Rejection::Drop)?;
        if header.flags.has(Flags::QR) {
            return Err(Rejection::Drop);
        }
        if header.flags.opcode() != 0 {
            return Err(Rejection::NotImplemented);
        }
        if header.qdcount != 1 || header.ancount > 1 || header.nscount > 1 || header.arcount > 2 {
            return Err(Rejection::FormatError);
        }
        let name_end = name::uncompressed_end(packet, HEADER_LEN).ok_or(Rejection::FormatError)?;
        let question = packet.get(HEADER_LEN..name_end + 4).ok_or(Rejection::FormatError)?;
        let [t, u, c, d] = *question.last_chunk().ok_or(Rejection::FormatError)?;
        let qtype = RecordType(u16::from_be_bytes([t, u]));
        if qtype == RecordType::OPT {
            return Err(Rejection::FormatError);
        }
        let edns = parse_edns(packet, &header, name_end + 4)?;
        if edns.is_some_and(|edns| edns.version != 0) {
            return Err(Rejection::BadVersion);
        }
        Ok(Self {
            header: RequestHeader { id: header.id, flags: header.flags, question, edns },
            name: LowerName::read(packet.get(HEADER_LEN..name_end).unwrap_or_default(), buffer),
            qtype,
            qclass: Class(u16::from_be_bytes([c, d])),
        })
    }
}

impl<'q> Query<'q> {
    /// A query of our own; `None` if its question is not QNAME, QTYPE and QCLASS in wire form.
    pub fn new(header: RequestHeader<'q>, buffer: &'q mut NameBuffer) -> Option<Self> {
        let (name, [t, u, c, d]) = header.question.split_last_chunk()?;
        if name::uncompressed_end(name, 0)? != name.len() {
            return None;
        }
        Some(Self {
            header,
            name: LowerName::read(name, buffer),
            qtype: RecordType(u16::from_be_bytes([*t, *u])),
            qclass: Class(u16::from_be_bytes([*c, *d])),
        })
    }

    /// The same query with another question; see [`Self::new`].
    pub fn with_question<'n>(&self, question: &'n [u8], buffer: &'n mut NameBuffer) -> Option<Query<'n>> {
        let RequestHeader { id, flags, edns, .. } = self.header;
        Query::new(RequestHeader { id, flags, question, edns }, buffer)
    }
}

/// The client's OPT, if there is one; `at` is the end of the question.
fn parse_edns(packet: &[u8], header: &Header, at: usize) -> Result<Option<Edns>, Rejection> {
    if (header.ancount, header.nscount, header.arcount) == (0, 0, 0) {
        return Ok(None);
    }
    let one_additional = (header.ancount, header.nscount, header.arcount) == (0, 0, 1);
    let opt = if one_additional && let Some(opt) = root_opt(packet, at) {
        Some(opt)
    } else {
        validate(packet, header, at)?
    };
    let Some(opt) = opt else {
        return Ok(None);
    };
    match edns::read(packet, &opt, header.flags.rcode()) {
        Some((edns, _)) => Ok(Some(edns)),
        None => Err(Rejection::FormatError),
    }
}

/// The OPT record at `at`, if there is one and its owner is the root.
fn root_opt(packet: &[u8], at: usize) -> Option<Record> {
    if *packet.get(at)? != 0 {
        return None;
    }
    Record::read(packet, at, at + 1).filter(|record| record.rtype == RecordType::OPT)
}

/// Validates a query with records other than OPT, or with malformed ones: hickory-proto must decode
/// all of it, and OPT must be where RFC 6891 section 6.1.1 requires it.
fn validate(packet: &[u8], header: &Header, at: usize) -> Result<Option<Record>, Rejection> {
    let mut parser = RecordParser::new(packet, at).ok_or(Rejection::FormatError)?;
    let sections = [
        (Section::Answer, header.ancount),
        (Section::Authority, header.nscount),
        (Section::Additional, header.arcount),
    ];
    for (section, count) in sections {
        parser.section(section, count, |_| ()).ok_or(Rejection::FormatError)?;
    }
    match Message::from_vec(packet) {
        Ok(_) if !parser.has_misplaced_opt => Ok(parser.opt),
        _ => Err(Rejection::FormatError),
    }
}
