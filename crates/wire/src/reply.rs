//! Messages of our own: errors to clients, questions to upstreams.

use crate::edns::ExtendedError;
use crate::header::Rcode;
use crate::query::{Echo, Rejection};

/// Appends what the sender of `packet` gets for `rejection`; nothing for [`Rejection::Silence`].
///
/// NOTIMP keeps opcode and RD, FORMERR only RD, both have no question (RFC 8906 section 3.1.4); BADVERS is a
/// header and an OPT of version 0 (RFC 6891 section 6.1.3).
pub fn rejection(packet: &[u8], rejection: Rejection, out: &mut Vec<u8>) {
    todo!("{packet:?} {rejection:?} {out:?}")
}

/// Appends an empty answer with `rcode`: the client's ID, question, RD and CD, RA set, and, if the client
/// sent OPT, ours with the extended error if there is one.
pub fn error(echo: &Echo<'_>, rcode: Rcode, error: Option<ExtendedError>, out: &mut Vec<u8>) {
    todo!("{echo:?} {rcode} {error:?} {out:?}")
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
    /// DO of the client; OPT is always sent, with our size and no options.
    pub dnssec_ok: bool,
}

/// Appends the question; AD is set, so that the upstream says whether the data is authentic
/// (RFC 6840 section 5.7).
pub fn ask(ask: &Ask<'_>, out: &mut Vec<u8>) {
    todo!("{ask:?} {out:?}")
}
