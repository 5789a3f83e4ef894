//! A client's message: the one we are willing to act on, or what it gets instead.

use crate::edns::Edns;
use crate::header::{Class, Flags, RecordType};
use crate::name::LowerName;

/// What of a query shows in its answer.
#[derive(Clone, Copy, Debug)]
pub struct Echo<'a> {
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
    pub echo: Echo<'p>,
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
    Silence,
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
        todo!("{packet:?}")
    }
}
