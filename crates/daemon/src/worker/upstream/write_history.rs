//! Write history of a stream: how many octets had been written at a time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Writes less than this apart count as one.
const RESOLUTION: Duration = Duration::from_millis(10);

/// Times of earlier writes are not kept.
const LENGTH: Duration = Duration::from_millis(500);

/// Octets written over time.
#[derive(Debug, Default)]
pub(super) struct WriteHistory {
    written: u64,
    /// Times of writes, and the octets written before them.
    writes: VecDeque<(Instant, u64)>,
}

impl WriteHistory {
    /// Adds a write.
    pub(super) fn add(&mut self, octets: usize, now: Instant) {
        let is_distinct = |(last, _): &(Instant, u64)| now.saturating_duration_since(*last) >= RESOLUTION;
        if self.writes.back().is_none_or(is_distinct) {
            let is_old = |(at, _): &mut (Instant, u64)| now.saturating_duration_since(*at) > LENGTH;
            while self.writes.pop_front_if(is_old).is_some() {}
            self.writes.push_back((now, self.written));
        }
        self.written = self.written.saturating_add(u64::try_from(octets).unwrap_or(u64::MAX));
    }

    /// True if `unacknowledged` octets, the last ones written, begin before `at`.
    pub(super) fn began_before(&self, unacknowledged: usize, at: Instant) -> bool {
        let acknowledged = self.written.saturating_sub(u64::try_from(unacknowledged).unwrap_or(u64::MAX));
        let later = self.writes.iter().find(|(written_at, _)| *written_at > at);
        acknowledged < later.map_or(self.written, |(_, written_before)| *written_before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn octets_written_later_are_not_counted() {
        let start = clock::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut history = WriteHistory::default();
        assert!(!history.began_before(0, start));
        history.add(40, at(0));
        history.add(50, at(100));
        history.add(60, at(200));
        // 60 are of the last write, 61 begin with the second one, 150 with the first one.
        for (unacknowledged, earliest) in [(60, 200), (61, 100), (110, 100), (111, 0), (150, 0)] {
            assert!(!history.began_before(unacknowledged, at(earliest) - Duration::from_millis(1)));
            assert!(history.began_before(unacknowledged, at(earliest)));
        }
        assert!(!history.began_before(0, at(300)), "all are acknowledged");
    }

    #[test]
    fn the_history_is_bounded() {
        let start = clock::now();
        let mut history = WriteHistory::default();
        for millisecond in 0..10_000 {
            history.add(1, start + Duration::from_millis(millisecond));
        }
        assert!(history.writes.len() <= 51, "{}", history.writes.len());
        assert!(history.began_before(10_000, start), "older than the history");
        assert!(!history.began_before(400, start + Duration::from_millis(9_000)));
    }
}
