//! Attempts of one worker, by number.

use super::attempt::Attempt;
use crate::id_map::IdMap;
use crate::timers::AttemptId;
use crate::transport::Transport;

/// The attempts that have no response yet.
#[derive(Debug, Default)]
pub(crate) struct Attempts(IdMap<AttemptId, Attempt>);

impl Attempts {
    pub(crate) fn get(&self, id: AttemptId) -> Option<&Attempt> {
        self.0.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: AttemptId) -> Option<&mut Attempt> {
        self.0.get_mut(&id)
    }

    pub(super) fn insert(&mut self, id: AttemptId, attempt: Attempt) {
        self.0.insert(id, attempt);
    }

    pub(super) fn remove(&mut self, id: AttemptId) -> Option<Attempt> {
        self.0.remove(&id)
    }

    /// True for an attempt that was repeated on another connection: nothing follows from its loss.
    pub(crate) fn is_repeated(&self, id: AttemptId) -> bool {
        self.get(id).is_some_and(|attempt| attempt.is_repeated)
    }

    /// Marks an attempt as repeated on another connection; it goes on waiting.
    pub(crate) fn mark_repeated(&mut self, id: AttemptId) {
        if let Some(attempt) = self.get_mut(id) {
            attempt.is_repeated = true;
        }
    }

    /// True while the response to one of the attempts `ids` at an upstream is expected, sent or queued.
    pub(crate) fn has_promising(&self, ids: &[AttemptId], upstream: usize) -> bool {
        let mut attempts = ids.iter().filter_map(|id| self.get(*id));
        attempts.any(|attempt| attempt.is_promising() && attempt.upstream == upstream)
    }

    /// True when one of `ids` other than `attempt` waits for a response of another upstream.
    pub(crate) fn another_upstream_waits(&self, ids: &[AttemptId], attempt: &Attempt) -> bool {
        let mut waiting = ids.iter().filter_map(|id| self.get(*id));
        waiting.any(|other| !other.late && !other.is_probe() && other.upstream != attempt.upstream)
    }

    /// Upstreams outrun by a hedge or retry: queried over UDP before the one that has responded, and
    /// still silent. Their attempts are cancelled, so that no timeout will show whether they are down.
    pub(crate) fn outrun_by(&self, winner: &Attempt, ids: &[AttemptId]) -> Vec<usize> {
        let outrun = ids.iter().filter_map(|id| self.get(*id)).filter(|other| {
            let is_other = other.upstream != winner.upstream;
            is_other && other.transport == Transport::Udp && other.sent < winner.sent
        });
        outrun.map(|other| other.upstream).collect()
    }
}
