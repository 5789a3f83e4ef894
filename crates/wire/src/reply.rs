//! Responses of our own, without records: error responses to queries.

use crate::edns::{OptRecord, push_opt};
use crate::header::{Flags, Header, Rcode};
use crate::query::{Rejection, RequestHeader};

/// Appends the error response for `rejection`; nothing for [`Rejection::Drop`].
///
/// NOTIMP keeps opcode and RD, FORMERR only RD, both without a question (RFC 8906 section 3.1.4);
/// BADVERS is a header and an OPT of version 0 (RFC 6891 section 6.1.3).
pub fn rejection(packet: &[u8], rejection: Rejection, out: &mut Vec<u8>) {
    let Some(request) = Header::read(packet) else {
        return;
    };
    let (copied, rcode) = match rejection {
        Rejection::Drop => return,
        Rejection::NotImplemented => (Flags::OPCODE.with(Flags::RD), Rcode::NOTIMP),
        Rejection::FormatError => (Flags::RD, Rcode::FORMERR),
        Rejection::BadVersion => (Flags::RD, Rcode::BADVERS),
    };
    let header = Header {
        id: request.id,
        flags: request.flags.only(copied).with(Flags::QR).with_rcode(rcode),
        qdcount: 0,
        ancount: 0,
        nscount: 0,
        arcount: u16::from(rejection == Rejection::BadVersion),
    };
    out.extend_from_slice(&header.to_bytes());
    if rejection == Rejection::BadVersion {
        push_opt(out, OptRecord { udp_size: 0, ..OptRecord::DEFAULT }, false, rcode);
    }
}

/// Appends a response with `rcode` and no records: ID, question, RD and CD of the request, RA set,
/// and `opt` if the request has OPT.
pub fn error(request: &RequestHeader<'_>, rcode: Rcode, opt: OptRecord, out: &mut Vec<u8>) {
    let copied = request.flags.only(Flags::RD.with(Flags::CD));
    let header = Header {
        id: request.id,
        flags: copied.with(Flags::QR).with(Flags::RA).with_rcode(rcode),
        qdcount: 1,
        ancount: 0,
        nscount: 0,
        arcount: u16::from(request.edns.is_some()),
    };
    out.extend_from_slice(&header.to_bytes());
    out.extend_from_slice(request.question);
    if let Some(edns) = request.edns {
        push_opt(out, opt, edns.dnssec_ok, rcode);
    }
}
