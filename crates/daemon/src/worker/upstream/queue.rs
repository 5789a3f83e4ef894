//! Queue of a connection pool: queries that wait for a connection, FIFO among those with the same
//! requirements.

use std::collections::VecDeque;

use resolver::action::{AttemptId, SendQuery};

pub(super) struct QueuedQuery {
    pub(super) query: SendQuery,
    pub(super) message: Vec<u8>,
}

#[derive(Default)]
pub(super) struct Queue {
    /// Hedges and retries: their clients have waited longest.
    fresh: VecDeque<QueuedQuery>,
    first: VecDeque<QueuedQuery>,
}

impl Queue {
    pub(super) fn of(&mut self, fresh: bool) -> &mut VecDeque<QueuedQuery> {
        if fresh { &mut self.fresh } else { &mut self.first }
    }

    pub(super) fn cancel(&mut self, attempt: AttemptId) {
        for queue in [&mut self.fresh, &mut self.first] {
            queue.retain(|queued| queued.query.attempt != attempt);
        }
    }
}
