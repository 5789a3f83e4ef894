//! Response times of many queries: percentiles, late and failed ones.

use std::time::Duration;

use super::pace::Sample;

/// Response times in ascending order; an unanswered query counts with the timeout.
pub(crate) struct Latencies {
    sorted: Vec<Duration>,
}

impl Latencies {
    pub(crate) fn new(samples: &[Sample]) -> Self {
        let mut sorted: Vec<Duration> = samples.iter().map(Sample::latency).collect();
        sorted.sort();
        Self { sorted }
    }

    /// The time within which `percent` of the responses came.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let index = (self.sorted.len() * percent).div_ceil(100).saturating_sub(1);
        self.sorted.get(index).copied().unwrap_or_default()
    }

    pub(crate) fn max(&self) -> Duration {
        self.percentile(100)
    }

    /// Responses that took longer than `bound`.
    pub(crate) fn later_than(&self, bound: Duration) -> usize {
        self.sorted.iter().filter(|latency| **latency > bound).count()
    }
}

/// Queries without a response, or with one without records.
pub(crate) fn failed(samples: &[Sample]) -> usize {
    samples.iter().filter(|sample| sample.failed()).count()
}

/// Milliseconds for a column.
pub(crate) fn ms(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e3)
}
