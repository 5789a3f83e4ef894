//! Messages that came for an attempt and do not answer it, or not by themselves.

use std::time::{Duration, Instant};

use wire::Response;
use wire::header::{Flags, Header, Rcode};

use crate::Resolver;
use crate::action::{Action, AttemptFailure, AttemptId, Outbox, Transport};
use crate::timers::Timer;
use crate::upstream::attempt::AttemptSpec;

/// How long the right answer may take to follow a wrong one: who guesses is ahead of the upstream by no more than its
/// round trip, and an upstream that is out of candidate is not worth a longer wait.
const MISMATCH_GRACE: Duration = Duration::from_millis(300);

/// More wrong messages than this are an attack or a broken upstream, and nothing is waited for.
const MOST_MISMATCHES: u8 = 3;

impl Resolver {
    /// True when `response` came over UDP and says that TCP has more (RFC 7766 section 5).
    pub(crate) fn is_cut_short(&self, attempt: AttemptId, response: &Response<'_>) -> bool {
        let by_udp = self.attempts.get(&attempt).is_some_and(|attempt| attempt.transport == Transport::Udp);
        by_udp && response.header.flags.has(Flags::TC)
    }

    /// Goes on by TCP with an attempt over UDP, whose socket closes.
    pub(crate) fn retry_over_tcp(&mut self, now: Instant, id: AttemptId, outbox: &mut Outbox) {
        let Some(attempt) = self.drop_attempt(id) else { return };
        outbox.actions.push(Action::CancelAttempt(id));
        self.send_attempt(
            now,
            AttemptSpec { transport: Transport::Tcp, ..AttemptSpec::again(&attempt) },
            outbox,
        );
    }

    /// A message that does not answer its attempt. Over UDP anyone may have sent it, so the answer is still awaited
    /// (RFC 5452 section 9.1), but not for long: TCP cannot be guessed at. A stream that delivers it is out of candidate and
    /// takes no more questions.
    pub(crate) fn mismatched(&mut self, now: Instant, id: AttemptId, packet: &[u8], outbox: &mut Outbox) {
        let Some(attempt) = self.attempts.get_mut(&id) else { return };
        if attempt.edns && does_not_know_edns(packet, attempt.id) {
            return self.retry_without_edns(now, id, outbox);
        }
        attempt.mismatches = attempt.mismatches.saturating_add(1);
        attempt.query.route.block.counters.cache_drops.add(1);
        if let Some(upstream) = attempt.query.upstream(attempt.upstream) {
            upstream.counters.mismatched_responses.add(1);
        }
        let by_tcp = attempt.transport == Transport::Tcp;
        if by_tcp && attempt.mismatches == 1 {
            outbox.actions.push(Action::QuarantineConnection(id));
        }
        if attempt.mismatches > MOST_MISMATCHES || by_tcp && attempt.late {
            return self.quarantine(now, id, outbox);
        }
        if attempt.mismatch_deadline.is_none() && !attempt.late {
            self.timers.cancel(attempt.timer, Timer::Attempt(id));
            attempt.mismatch_deadline = Some((now + MISMATCH_GRACE).min(attempt.until));
            attempt.timer = attempt.next_look();
            self.timers.schedule(attempt.timer, Timer::Attempt(id));
        }
    }

    /// The right answer did not follow. Over UDP the question goes on by TCP, and so does whatever else is asked for its
    /// sake; an attempt by TCP has failed.
    pub(crate) fn quarantine(&mut self, now: Instant, id: AttemptId, outbox: &mut Outbox) {
        let Some(attempt) = self.attempts.get(&id) else { return };
        if let Some(upstream) = attempt.query.upstream(attempt.upstream) {
            upstream.counters.mismatched_attempts.add(1);
        }
        if attempt.transport == Transport::Tcp {
            outbox.actions.push(Action::CancelAttempt(id));
            return self.attempt_failed(now, id, AttemptFailure::Closed { reused: false }, outbox);
        }
        if let Some(inflight) = self.inflight.get_mut(&attempt.inflight) {
            inflight.transport = Transport::Tcp;
        }
        self.retry_over_tcp(now, id, outbox);
    }

    /// Repeats an attempt without OPT, to an upstream that does not know EDNS (RFC 6891 section 6.2.2). Nothing is
    /// remembered of it: CoreDNS and resolvers know EDNS, and who could forge a FORMERR would otherwise take away DO from
    /// every later question too.
    pub(crate) fn retry_without_edns(&mut self, now: Instant, id: AttemptId, outbox: &mut Outbox) {
        let Some(attempt) = self.drop_attempt(id) else { return };
        if attempt.keeps_open() {
            outbox.actions.push(Action::CancelAttempt(id));
        }
        if let Some(upstream) = attempt.query.upstream(attempt.upstream) {
            upstream.counters.edns_fallbacks.add(1);
        }
        self.send_attempt(now, AttemptSpec { edns: false, ..AttemptSpec::again(&attempt) }, outbox);
    }
}

/// True for a bare header that says FORMERR or NOTIMP: servers without EDNS need not repeat the question.
fn does_not_know_edns(packet: &[u8], id: u16) -> bool {
    Header::read(packet).is_some_and(|header| {
        let Header { qdcount, ancount, nscount, arcount, flags, .. } = header;
        header.id == id
            && [qdcount, ancount, nscount, arcount] == [0; 4]
            && flags.has(Flags::QR)
            && flags.opcode() == 0
            && matches!(flags.rcode(), Rcode::FORMERR | Rcode::NOTIMP)
    })
}
