//! A client's message: the one we are willing to act on, or what it gets instead.

mod outgoing;

use hickory_proto::op::Message;

use crate::edns::{self, Edns};
use crate::header::{Class, Flags, HEADER_LEN, Header, RecordType};
use crate::name::{self, LowerName};
use crate::record::{Record, Walk};

pub use outgoing::OutgoingQuery;

/// What of a query shows in its answer.
#[derive(Clone, Copy, Debug)]
pub struct RequestHeader<'a> {
    /// The client's ID.
    pub id: u16,
    /// The client's flags as sent; answers copy RD and CD and honour AD.
    pub flags: Flags,
    /// The question as sent, letter case kept (RFC 4343 section 4.1): name, type, class.
    pub question: &'a [u8],
    /// The client's OPT, if it sent one.
    pub edns: Option<Edns>,
}

/// A query with exactly one readable question, opcode QUERY, at most one OPT of version 0.
#[derive(Clone, Copy, Debug)]
pub struct Query<'p> {
    /// What the answer repeats.
    pub header: RequestHeader<'p>,
    /// The name asked for, lower case.
    pub name: LowerName,
    /// The type asked for.
    pub qtype: RecordType,
    /// The class asked for.
    pub qclass: Class,
}

/// Why a packet is not a query we act on, which is also what its sender gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// Shorter than a header, or a response: silence, so that no two servers ever talk in circles.
    Drop,
    /// An opcode other than QUERY: a bare NOTIMP header.
    NotImplemented,
    /// Counts, names or records that make no sense: a bare FORMERR header.
    FormatError,
    /// EDNS version other than 0: BADVERS (RFC 6891 section 6.1.3).
    BadVersion,
}

impl<'p> Query<'p> {
    /// Reads a packet of a client without allocating when it is header, one question and at most one OPT;
    /// anything else is judged whole, which may allocate.
    ///
    /// # Errors
    /// A [`Rejection`] says what the sender gets; [`crate::reply::rejection`] writes it.
    pub fn parse(packet: &'p [u8]) -> Result<Self, Rejection> {
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
        let name_end = name::plain_end(packet, HEADER_LEN).ok_or(Rejection::FormatError)?;
        let question = packet.get(HEADER_LEN..name_end + 4).ok_or(Rejection::FormatError)?;
        let [t, u, c, d] = *question.last_chunk().ok_or(Rejection::FormatError)?;
        let qtype = RecordType(u16::from_be_bytes([t, u]));
        if qtype == RecordType::OPT {
            return Err(Rejection::FormatError);
        }
        let edns = additional(packet, &header, name_end + 4)?;
        if edns.is_some_and(|edns| edns.version != 0) {
            return Err(Rejection::BadVersion);
        }
        // The name last: it is large, and each way it is handed on copies it.
        Ok(Self {
            header: RequestHeader { id: header.id, flags: header.flags, question, edns },
            name: LowerName::read(packet.get(HEADER_LEN..name_end).unwrap_or_default()),
            qtype,
            qclass: Class(u16::from_be_bytes([c, d])),
        })
    }
}

/// The client's OPT behind the question, if there is one.
fn additional(packet: &[u8], header: &Header, at: usize) -> Result<Option<Edns>, Rejection> {
    if (header.ancount, header.nscount, header.arcount) == (0, 0, 0) {
        return Ok(None);
    }
    let alone = (header.ancount, header.nscount, header.arcount) == (0, 0, 1);
    let opt =
        if alone && let Some(opt) = root_opt(packet, at) { Some(opt) } else { judge(packet, header, at)? };
    let Some(opt) = opt else {
        return Ok(None);
    };
    match edns::read(packet, &opt, header.flags.rcode()) {
        Some((edns, _)) => Ok(Some(edns)),
        None => Err(Rejection::FormatError),
    }
}

/// The OPT record at `at`, if one is there and owned by the root.
fn root_opt(packet: &[u8], at: usize) -> Option<Record> {
    if *packet.get(at)? != 0 {
        return None;
    }
    Record::read(packet, at, at + 1).filter(|record| record.rtype == RecordType::OPT)
}

/// Judges a message with records other than OPT, or with broken ones: hickory-proto must be able to decode all of
/// it, and OPT must be where RFC 6891 section 6.1.1 wants it.
fn judge(packet: &[u8], header: &Header, at: usize) -> Result<Option<Record>, Rejection> {
    let mut walk = Walk::new(packet, at);
    walk.section(header.ancount, |_| ())
        .and_then(|()| walk.section(header.nscount, |_| ()))
        .and_then(|()| walk.additional(header.arcount))
        .ok_or(Rejection::FormatError)?;
    match Message::from_vec(packet) {
        Ok(_) => Ok(walk.opt),
        Err(_) => Err(Rejection::FormatError),
    }
}
