//! Log lines about packets of ours that a packet filter of the node rejects (EPERM), at most one a
//! minute.

use std::time::{Duration, Instant};

use tracing::warn;

use crate::metrics::ProcessCounters;

const INTERVAL: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct PacketFilterLog {
    /// Rejected packets in earlier lines: to clients, to upstreams.
    logged: [u64; 2],
    last: Option<Instant>,
}

impl PacketFilterLog {
    /// Packets counted so far are not logged.
    pub(super) fn new(counters: &ProcessCounters) -> Self {
        Self { logged: counted(counters), last: None }
    }

    /// Logs the packets rejected since the last line, if one is due.
    pub(super) fn log_due(&mut self, counters: &ProcessCounters, now: Instant) {
        if let Some(line) = self.due(counted(counters), now) {
            warn!("{line}");
        }
    }

    fn due(&mut self, counted: [u64; 2], now: Instant) -> Option<String> {
        let is_due = self.last.is_none_or(|last| now.saturating_duration_since(last) >= INTERVAL);
        if counted == self.logged || !is_due {
            return None;
        }
        let [was_clients, was_upstreams] = std::mem::replace(&mut self.logged, counted);
        let [clients, upstreams] = counted;
        self.last = Some(now);
        Some(format!(
            "a packet filter of this node rejected {} responses to clients and {} queries to upstreams \
             (EPERM): its output rules must allow DNS from this cache",
            clients.saturating_sub(was_clients),
            upstreams.saturating_sub(was_upstreams)
        ))
    }
}

fn counted(counters: &ProcessCounters) -> [u64; 2] {
    [counters.packet_filter_rejects.clients.get(), counters.packet_filter_rejects.upstreams.get()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn rejected_packets_are_logged_once_a_minute_at_most() {
        let now = clock::now();
        let mut log = PacketFilterLog { logged: [3, 0], last: None };
        assert_eq!(log.due([3, 0], now), None);
        let line = log.due([5, 1], now).unwrap();
        assert!(line.contains("rejected 2 responses to clients and 1 queries to upstreams"), "{line}");
        assert_eq!(log.due([9, 1], now + INTERVAL / 2), None);
        let line = log.due([9, 1], now + INTERVAL).unwrap();
        assert!(line.contains("rejected 4 responses to clients and 0 queries to upstreams"), "{line}");
        assert_eq!(log.due([9, 1], now + 3 * INTERVAL), None);
    }
}
