//! Latency of one name: a histogram with the bounds of the metrics.

use std::time::Duration;

/// Upper bound of the first bucket in microseconds; each further one is twice as large.
const FIRST_BOUND: u64 = 250;
/// The last one has no upper bound: it begins at 4 s.
const BUCKETS: usize = 16;

/// Durations by bucket.
#[derive(Clone, Debug, Default)]
pub(super) struct Latency([u32; BUCKETS]);

impl Latency {
    pub(super) fn observe(&mut self, duration: Duration, weight: u32) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = (0..BUCKETS - 1).find(|doublings| micros <= FIRST_BOUND << doublings);
        if let Some(count) = self.0.get_mut(bucket.unwrap_or(BUCKETS - 1)) {
            *count = count.saturating_add(weight);
        }
    }

    /// The upper bound in microseconds of the bucket that has this quantile, 0 to 1; 0 without any.
    pub(super) fn quantile(&self, quantile: f64) -> u64 {
        let (total, mut seen) = (self.count() as f64, 0);
        if total == 0.0 {
            return 0;
        }
        let found = self.0.iter().position(|count| {
            seen += u64::from(*count);
            seen as f64 >= total * quantile
        });
        FIRST_BOUND << found.unwrap_or(BUCKETS - 1)
    }

    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|count| u64::from(*count)).sum()
    }

    pub(super) fn halve(&mut self) {
        self.0.iter_mut().for_each(|count| *count /= 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_the_bound_of_its_bucket() {
        let mut latency = Latency::default();
        assert_eq!(latency.quantile(0.99), 0);
        latency.observe(Duration::from_micros(250), 98);
        latency.observe(Duration::from_millis(3), 2);
        assert_eq!((latency.quantile(0.5), latency.quantile(0.99), latency.count()), (250, 4000, 100));
        latency.observe(Duration::from_secs(3600), 1000);
        assert_eq!(latency.quantile(0.99), 250 << 15);
    }
}
