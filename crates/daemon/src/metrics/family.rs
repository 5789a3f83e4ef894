//! Metric families in the form of the text format: labels sorted by name, buckets cumulative.

use std::sync::Arc;

use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};
use resolver::counters;

/// A family under construction.
pub(super) struct Family {
    kind: MetricType,
    proto: MetricFamily,
}

impl Family {
    pub(super) fn counter(name: &str, help: &str) -> Self {
        Self::new(name, help, MetricType::COUNTER)
    }

    pub(super) fn gauge(name: &str, help: &str) -> Self {
        Self::new(name, help, MetricType::GAUGE)
    }

    pub(super) fn histogram(name: &str, help: &str) -> Self {
        Self::new(name, help, MetricType::HISTOGRAM)
    }

    fn new(name: &str, help: &str, kind: MetricType) -> Self {
        let mut proto = MetricFamily::default();
        proto.set_name(name.to_owned());
        proto.set_help(help.to_owned());
        proto.set_field_type(kind);
        Self { kind, proto }
    }

    /// A counter without labels.
    pub(super) fn of_count(name: &str, help: &str, count: u64) -> Self {
        let mut family = Self::counter(name, help);
        family.series(&[], count as f64);
        family
    }

    /// Adds a series of a counter or gauge.
    pub(super) fn series(&mut self, labels: &[(&str, &str)], value: f64) {
        let mut metric = labelled(labels);
        if self.kind == MetricType::GAUGE {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        } else {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        }
        self.proto.mut_metric().push(metric);
    }

    /// Adds a series of a counter unless it is zero.
    pub(super) fn nonzero_series(&mut self, labels: &[(&str, &str)], count: u64) {
        if count > 0 {
            self.series(labels, count as f64);
        }
    }

    /// Adds a series of a histogram.
    pub(super) fn distribution(&mut self, labels: &[(&str, &str)], observed: &Distribution) {
        let mut cumulative = 0;
        let mut buckets = Vec::new();
        for (&bound, count) in observed.bounds.iter().zip(&observed.buckets) {
            cumulative += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(bound);
            bucket.set_cumulative_count(cumulative);
            buckets.push(bucket);
        }
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets);
        histogram.set_sample_count(observed.count());
        histogram.set_sample_sum(observed.sum);
        let mut metric = labelled(labels);
        metric.set_histogram(histogram);
        self.proto.mut_metric().push(metric);
    }

    /// Adds a series of a histogram unless it is empty.
    pub(super) fn nonempty_distribution(&mut self, labels: &[(&str, &str)], observed: &Distribution) {
        if observed.count() > 0 {
            self.distribution(labels, observed);
        }
    }
}

impl From<Family> for MetricFamily {
    fn from(family: Family) -> Self {
        family.proto
    }
}

fn labelled(labels: &[(&str, &str)]) -> Metric {
    let mut labels = labels.to_vec();
    labels.sort_unstable();
    let pairs = labels.into_iter().map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value.to_owned());
        pair
    });
    Metric::from_label(pairs.collect())
}

/// The values of a histogram, in the unit of its bounds.
pub(super) struct Distribution {
    pub(super) bounds: &'static [f64],
    /// Not cumulative; the last bucket is above all bounds.
    pub(super) buckets: Vec<u64>,
    pub(super) sum: f64,
}

impl Distribution {
    fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Sum of duration histograms, in seconds.
    pub(super) fn of_durations<T>(
        counters: &[Arc<T>],
        pick: impl Fn(&T) -> Option<&counters::Durations>,
    ) -> Self {
        let (buckets, nanos) = summed(counters, pick);
        Self { bounds: &counters::DURATION_BOUNDS, buckets, sum: nanos as f64 / 1e9 }
    }

    /// Sum of size histograms, in octets.
    pub(super) fn of_sizes<T>(counters: &[Arc<T>], pick: impl Fn(&T) -> Option<&counters::Sizes>) -> Self {
        let (buckets, octets) = summed(counters, pick);
        Self { bounds: &counters::SIZE_BOUNDS, buckets, sum: octets as f64 }
    }
}

/// Buckets and sum over all workers.
fn summed<T, const BUCKETS: usize>(
    counters: &[Arc<T>],
    pick: impl Fn(&T) -> Option<&counters::Histogram<BUCKETS>>,
) -> (Vec<u64>, u64) {
    let mut buckets = vec![0; BUCKETS];
    let mut sum = 0;
    for histogram in counters.iter().filter_map(|counters| pick(counters)) {
        for (bucket, count) in buckets.iter_mut().zip(histogram.buckets()) {
            *bucket += count;
        }
        sum += histogram.sum();
    }
    (buckets, sum)
}

/// Sum of a counter over all workers.
pub(super) fn total<T>(counters: &[Arc<T>], pick: impl Fn(&T) -> Option<&counters::Counter>) -> u64 {
    counters.iter().filter_map(|counters| pick(counters)).map(counters::Counter::get).sum()
}
