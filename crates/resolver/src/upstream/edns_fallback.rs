//! Servers without EDNS: their responses need not repeat the question.

use wire::header::{Flags, Header, Rcode};

/// True for a bare header with FORMERR (RFC 6891 section 7) or NOTIMP: servers without EDNS need
/// not repeat the question.
pub(crate) fn is_edns_unsupported(packet: &[u8]) -> bool {
    Header::read(packet).is_some_and(|header| {
        let Header { qdcount, ancount, nscount, arcount, flags, .. } = header;
        [qdcount, ancount, nscount, arcount] == [0; 4]
            && flags.has(Flags::QR)
            && flags.opcode() == 0
            && matches!(flags.rcode(), Rcode::FORMERR | Rcode::NOTIMP)
    })
}
