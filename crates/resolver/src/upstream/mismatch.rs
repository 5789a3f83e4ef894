//! Messages that do not match their attempt: possible spoofing over UDP (RFC 5452), a
//! desynchronized peer on a stream.

use std::time::{Duration, Instant};

use wire::header::{Flags, Header, Rcode};

use super::attempt::Attempt;
use crate::transport::Transport;

/// How long after a mismatch the matching response is still awaited. A spoofer is ahead of the
/// upstream by no more than a round trip, and a desynchronized upstream is not worth a longer wait.
const GRACE_PERIOD: Duration = Duration::from_millis(300);

/// More mismatches than this are an attack or a broken upstream; the attempt is given up at once.
const MAX_MISMATCHES: u8 = 3;

/// What follows from a mismatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MismatchAction {
    /// Await the matching response until the end of the grace period.
    Await,
    /// Give the attempt up.
    GiveUp,
}

impl Attempt {
    /// Counts a mismatch. The first starts the grace period.
    pub(super) fn record_mismatch(&mut self, now: Instant) -> MismatchAction {
        self.mismatches = self.mismatches.saturating_add(1);
        let late_on_stream = self.transport == Transport::Tcp && self.late;
        if self.mismatches > MAX_MISMATCHES || late_on_stream {
            return MismatchAction::GiveUp;
        }
        if self.mismatch_deadline.is_none() && !self.late {
            self.mismatch_deadline = Some((now + GRACE_PERIOD).min(self.until));
        }
        MismatchAction::Await
    }
}

/// True for a bare header with FORMERR (RFC 6891 section 7) or NOTIMP: servers without EDNS need
/// not repeat the question.
pub(crate) fn is_edns_unsupported(packet: &[u8], id: u16) -> bool {
    Header::read(packet).is_some_and(|header| {
        let Header { qdcount, ancount, nscount, arcount, flags, .. } = header;
        header.id == id
            && [qdcount, ancount, nscount, arcount] == [0; 4]
            && flags.has(Flags::QR)
            && flags.opcode() == 0
            && matches!(flags.rcode(), Rcode::FORMERR | Rcode::NOTIMP)
    })
}
