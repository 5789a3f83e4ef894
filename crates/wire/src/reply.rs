//! Messages of our own: errors to clients, questions to upstreams.

use crate::edns::{OPT_LEN, OwnOpt, push_opt};
use crate::header::{Flags, HEADER_LEN, Header, Rcode};
use crate::query::{Echo, Rejection};

/// Appends what the sender of `packet` gets for `rejection`; nothing for [`Rejection::Silence`].
///
/// NOTIMP keeps opcode and RD, FORMERR only RD, both have no question (RFC 8906 section 3.1.4); BADVERS is a
/// header and an OPT of version 0 (RFC 6891 section 6.1.3).
pub fn rejection(packet: &[u8], rejection: Rejection, out: &mut Vec<u8>) {
    let Some(asked) = Header::read(packet) else {
        return;
    };
    let (kept, rcode) = match rejection {
        Rejection::Silence => return,
        Rejection::NotImplemented => (Flags::OPCODE.with(Flags::RD), Rcode::NOTIMP),
        Rejection::FormatError => (Flags::RD, Rcode::FORMERR),
        Rejection::BadVersion => (Flags::RD, Rcode::BADVERS),
    };
    let header = Header {
        id: asked.id,
        flags: asked.flags.only(kept).with(Flags::QR).with_rcode(rcode),
        qdcount: 0,
        ancount: 0,
        nscount: 0,
        arcount: u16::from(rejection == Rejection::BadVersion),
    };
    out.extend_from_slice(&header.to_bytes());
    if rejection == Rejection::BadVersion {
        push_opt(out, OwnOpt { udp_size: 0, ..OwnOpt::PLAIN }, false, rcode);
    }
}

/// Appends an empty answer with `rcode`: the client's ID, question, RD and CD, RA set, and, if the client
/// sent OPT, ours as `opt` has it.
pub fn error(echo: &Echo<'_>, rcode: Rcode, opt: OwnOpt, out: &mut Vec<u8>) {
    let copied = echo.flags.only(Flags::RD.with(Flags::CD));
    let header = Header {
        id: echo.id,
        flags: copied.with(Flags::QR).with(Flags::RA).with_rcode(rcode),
        qdcount: 1,
        ancount: 0,
        nscount: 0,
        arcount: u16::from(echo.edns.is_some()),
    };
    out.extend_from_slice(&header.to_bytes());
    out.extend_from_slice(echo.question);
    if let Some(edns) = echo.edns {
        push_opt(out, opt, edns.dnssec_ok, rcode);
    }
}

/// A question to an upstream.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Random, so that who does not see the question cannot answer it (RFC 5452 section 9.2).
    pub id: u16,
    /// Name, type, class.
    pub question: &'a [u8],
    /// RD of the client.
    pub recursion_desired: bool,
    /// CD of the client.
    pub checking_disabled: bool,
    /// With OPT, without options; DO needs it.
    pub edns: bool,
    /// DO of the client.
    pub dnssec_ok: bool,
    /// The UDP payload size in OPT.
    pub udp_size: u16,
}

/// Appends the question; AD is set, so that the upstream says whether the data is authentic
/// (RFC 6840 section 5.7).
pub fn ask(ask: &Ask<'_>, out: &mut Vec<u8>) {
    let mut flags = Flags::AD;
    if ask.recursion_desired {
        flags = flags.with(Flags::RD);
    }
    if ask.checking_disabled {
        flags = flags.with(Flags::CD);
    }
    let arcount = u16::from(ask.edns);
    let header = Header { id: ask.id, flags, qdcount: 1, ancount: 0, nscount: 0, arcount };
    out.reserve(HEADER_LEN + ask.question.len() + OPT_LEN);
    out.extend_from_slice(&header.to_bytes());
    out.extend_from_slice(ask.question);
    if ask.edns {
        push_opt(out, OwnOpt { udp_size: ask.udp_size, ..OwnOpt::PLAIN }, ask.dnssec_ok, Rcode::NOERROR);
    }
}
