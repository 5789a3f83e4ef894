//! Attempt handler: how connections and UDP sockets report on the attempts they carry.

use resolver::action::{AttemptFailure, AttemptId};

pub(super) trait AttemptHandler: Clone + 'static {
    /// A message that arrived for an attempt. It may not be the response: the resolver matches.
    fn on_message(&self, attempt: AttemptId, message: &[u8]);

    /// The attempt has its response.
    fn on_completion(&self, attempt: AttemptId);

    /// The attempt failed without a response.
    fn on_failure(&self, attempt: AttemptId, failure: AttemptFailure);
}
