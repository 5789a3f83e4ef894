//! Beginning of an outage: an in-flight query waits, or has failed, while no upstream of its
//! `forward` responds to anything.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wire::edns::ExtendedError;
use wire::header::Rcode;

use super::Inflight;
use super::query::{InflightQuery, Role};
use crate::cache::Outage;
use crate::effects::Effects;
use crate::result::{ErrorResponse, QueryResult};
use crate::timers::{QueryId, Timer};

/// Time without any response from the upstreams of a `forward` after which a waiting query begins
/// an outage.
pub(crate) const OUTAGE_TIMER: Duration = Duration::from_millis(200);

/// The same after an attempt of a query has failed, if all further ones fail too: the pause before
/// an upstream is tried again.
const FAILURE_TIMER: Duration = Duration::from_millis(50);

/// Interval at which a waiting query looks whether packets are lost.
const LOSS_CHECK_INTERVAL: Duration = Duration::from_millis(50);

impl Inflight {
    /// The client response timer (RFC 8767 section 5): waiters get the stale answer. Without
    /// `serve_stale` they get it in an outage only; otherwise they go on waiting.
    pub(crate) fn on_client_response_timer(&mut self, id: QueryId, effects: &mut Effects<'_>) {
        let Some(query) = self.queries.get_mut(&id) else { return };
        if query.serves_stale() {
            query.respond_all_stale(&mut self.completed, effects);
            return;
        }
        match query.outage_begins_at(effects.now) {
            None => self.respond_in_outage(id, effects),
            Some(at) => {
                if let Some(stale) = &mut query.stale_answer {
                    stale.until = at;
                    effects.timers.schedule(at, Timer::ClientResponse(id));
                }
            }
        }
    }

    /// Responds to all waiters with the stale answer. An owner's query goes on for the cache, but
    /// no further query joins it: after the outage a new one is answered sooner.
    fn respond_in_outage(&mut self, id: QueryId, effects: &mut Effects<'_>) {
        let Some(query) = self.queries.get_mut(&id) else { return };
        if query.role == Role::Subscriber {
            // The stale answer may be from a cache that the server block has since a reload only.
            if query.respond_all_stale(&mut self.completed, effects) {
                self.remove(id, effects.timers);
            }
            return;
        }
        self.detach(id);
        let Some(query) = self.queries.get_mut(&id) else { return };
        let response = ErrorResponse::new(Rcode::SERVFAIL).with_error(ExtendedError::NO_REACHABLE_AUTHORITY);
        let result = QueryResult::Error { response, is_outage: true };
        query.respond_all(&result, &mut self.completed, effects);
    }
}

impl InflightQuery {
    /// True when its stale answer is one of `serve_stale`, not of an outage.
    pub(super) fn serves_stale(&self) -> bool {
        self.query.route.block.serves_stale(self.query.name())
    }

    /// When an outage begins for a query that waits, if no upstream responds until then; `None`
    /// when there is one now. For the query itself it is one, too, that its packets are lost.
    fn outage_begins_at(&self, now: Instant) -> Option<Instant> {
        let outage = &self.query.forward()?.state.outage;
        if self.fallback_response.is_some() || self.has_switched_forward() {
            return Some(self.deadline);
        }
        if self.losses.is_unacknowledged() || self.query.forward()?.loses_many_packets(now) {
            return None;
        }
        let responses = outage.responses();
        let at = outage.last_response().map(|last| last + OUTAGE_TIMER);
        let at = at.filter(|at| *at > now && !outage.is_ongoing());
        if at.is_none() {
            outage.begin(responses);
        }
        at.map(|at| at.min(now + LOSS_CHECK_INTERVAL).min(self.deadline))
    }

    /// The outage in which a query has failed, and which it begins: no upstream has responded since
    /// the query started, or since its first attempt failed.
    pub(crate) fn failed_in_outage(&self, now: Instant) -> Option<Outage> {
        let state = &self.query.forward()?.state;
        let is_local = self.last_failure.is_some_and(|(failure, ..)| failure.is_local());
        if self.role != Role::Owner || is_local {
            return None;
        }
        let responses = state.outage.responses();
        let silent_since = |failed: Instant| {
            let is_long = now.saturating_duration_since(failed) >= FAILURE_TIMER;
            is_long && state.outage.last_response().is_none_or(|last| last <= failed)
        };
        if responses != self.responses_before && !self.first_failure.is_some_and(silent_since) {
            return None;
        }
        state.outage.begin(responses);
        Some(Outage { forward: Arc::clone(state), responses })
    }
}
