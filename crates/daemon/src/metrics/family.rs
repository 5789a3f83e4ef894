//! Metric families as the text format wants them: labels in order of their names, buckets cumulative.

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

    /// Adds a series of a counter, unless it has not been used.
    pub(super) fn used(&mut self, labels: &[(&str, &str)], count: u64) {
        if count > 0 {
            self.series(labels, count as f64);
        }
    }

    /// Adds a series of a histogram.
    pub(super) fn distribution(&mut self, labels: &[(&str, &str)], observed: &Distribution) {
        let mut cumulative = 0;
        let mut buckets = Vec::new();
        for (&bound, count) in observed.bounds.iter().zip(&observed.places) {
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

    /// Adds a series of a histogram, unless nothing was observed.
    pub(super) fn used_distribution(&mut self, labels: &[(&str, &str)], observed: &Distribution) {
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

/// What a histogram shows, in the unit of its bounds.
pub(super) struct Distribution {
    pub(super) bounds: &'static [f64],
    /// Not cumulative; the last place is above all bounds.
    pub(super) places: Vec<u64>,
    pub(super) sum: f64,
}

impl Distribution {
    fn count(&self) -> u64 {
        self.places.iter().sum()
    }

    /// Of durations, in seconds.
    pub(super) fn of_durations<T>(
        counters: &[Arc<T>],
        pick: impl Fn(&T) -> Option<&counters::Durations>,
    ) -> Self {
        let (places, nanos) = summed(counters, pick);
        Self { bounds: &counters::DURATION_BOUNDS, places, sum: nanos as f64 / 1e9 }
    }

    /// Of sizes, in octets.
    pub(super) fn of_sizes<T>(counters: &[Arc<T>], pick: impl Fn(&T) -> Option<&counters::Sizes>) -> Self {
        let (places, octets) = summed(counters, pick);
        Self { bounds: &counters::SIZE_BOUNDS, places, sum: octets as f64 }
    }
}

/// The places and the sum over all workers.
fn summed<T, const PLACES: usize>(
    counters: &[Arc<T>],
    pick: impl Fn(&T) -> Option<&counters::Histogram<PLACES>>,
) -> (Vec<u64>, u64) {
    let mut places = vec![0; PLACES];
    let mut sum = 0;
    for histogram in counters.iter().filter_map(|counters| pick(counters)) {
        for (place, count) in places.iter_mut().zip(histogram.buckets()) {
            *place += count;
        }
        sum += histogram.sum();
    }
    (places, sum)
}

/// A counter over all workers.
pub(super) fn total<T>(counters: &[Arc<T>], pick: impl Fn(&T) -> Option<&counters::Counter>) -> u64 {
    counters.iter().filter_map(|counters| pick(counters)).map(counters::Counter::get).sum()
}
