//! Sampling of responses: a fixed share of few, and a fixed number per second of many.
//!
//! One in N responses on average is sampled and counts N times. The distances are random: a pod's search
//! path sends its queries in the same order again and again, and a fixed distance would sample the same
//! one each time. N follows from the rate of the last period, and doubles within a period when more are
//! sampled than planned. It has a minimum, so that samples cost a fixed share of the responses at any
//! rate; only the first responses of a worker are all samples.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Samples per period and worker, about.
const SAMPLES: u32 = 256;
/// After so long N is adapted to a lower rate.
const PERIOD: Duration = Duration::from_secs(5);
/// The largest N.
const MAX_INTERVAL: u32 = 1 << 16;
/// The first responses, of which each is a sample, so that the first queries on a node are shown.
const FIRST: u32 = 256;

/// Selects responses of one worker.
#[derive(Debug)]
pub(super) struct Sampler {
    /// Responses until the next sample.
    left: Cell<u32>,
    /// N.
    interval: Cell<u32>,
    /// The smallest N after the first responses.
    min_interval: u32,
    /// Responses that are still to be sampled one by one.
    first: Cell<u32>,
    /// Samples since N was set.
    samples: Cell<u32>,
    /// Responses since the period began, by the samples.
    responses: Cell<u32>,
    period_end: Cell<Option<Instant>>,
    /// State of the generator of distances (xorshift), never 0.
    random: Cell<u32>,
}

impl Sampler {
    /// With the smallest N, at least 1.
    pub(super) fn new(seed: u32, min_interval: u32) -> Self {
        Self {
            left: Cell::new(1),
            interval: Cell::new(1),
            min_interval,
            first: Cell::new(FIRST),
            samples: Cell::new(0),
            responses: Cell::new(0),
            period_end: Cell::new(None),
            random: Cell::new(seed | 1),
        }
    }

    /// Counts a response; true if it is a sample.
    #[inline]
    pub(super) fn is_sample(&self) -> bool {
        let left = self.left.get().wrapping_sub(1);
        self.left.set(left);
        left == 0
    }

    /// How many responses the sample at `now` stands for. To be called once per sample.
    pub(super) fn weight(&self, now: Instant) -> u32 {
        let weight = self.interval.get();
        self.responses.set(self.responses.get().saturating_add(weight));
        self.samples.set(self.samples.get().saturating_add(1));
        self.first.set(self.first.get().saturating_sub(1));
        self.adapt(now);
        self.left.set(self.distance());
        weight
    }

    /// Adapts N if a period has ended, without a sample at hand: after a flood the next one would be far.
    pub(super) fn expire(&self, now: Instant) {
        let before = self.interval.get();
        if self.period_end.get().is_some_and(|end| now >= end) {
            self.begin_period(now);
        }
        // With the same N a second draw would favour short distances.
        if self.interval.get() < before {
            self.left.set(self.left.get().min(self.distance()));
        }
    }

    fn begin_period(&self, now: Instant) {
        self.set_interval(self.responses.replace(0) / SAMPLES);
        self.period_end.set(Some(now + PERIOD));
    }

    fn adapt(&self, now: Instant) {
        if self.period_end.get().is_none_or(|end| now >= end) {
            self.begin_period(now);
        } else if self.samples.get() >= SAMPLES {
            self.set_interval(self.interval.get() * 2);
        }
    }

    fn set_interval(&self, interval: u32) {
        let min = if self.first.get() > 0 { 1 } else { self.min_interval };
        self.interval.set(interval.clamp(min, MAX_INTERVAL));
        self.samples.set(0);
    }

    /// Uniform from 1 to 2N - 1, N on average.
    fn distance(&self) -> u32 {
        let mut random = self.random.get();
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        self.random.set(random);
        random % (2 * self.interval.get() - 1) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    /// Samples of `count` responses at one rate over some time, and the sum of their weights.
    fn run(sampler: &Sampler, start: Instant, time: Duration, count: u32) -> (u32, u32) {
        let (mut samples, mut sum) = (0, 0);
        for number in 0..count {
            if sampler.is_sample() {
                samples += 1;
                sum += sampler.weight(start + time * number / count);
            }
        }
        (samples, sum)
    }

    #[test]
    fn all_of_few_responses_are_samples() {
        let sampler = Sampler::new(7, 1);
        assert_eq!(run(&sampler, clock::now(), Duration::from_secs(60), 600), (600, 600));
    }

    #[test]
    fn few_of_many_responses_are_samples_and_stand_for_all() {
        let sampler = Sampler::new(7, 1);
        let (samples, sum) = run(&sampler, clock::now(), Duration::from_secs(10), 1_000_000);
        assert!(samples < 5000, "{samples}");
        assert!((900_000..1_100_000).contains(&sum), "{sum}");
    }

    #[test]
    fn a_lower_rate_is_sampled_more_densely_again() {
        let (sampler, start) = (Sampler::new(7, 1), clock::now());
        run(&sampler, start, Duration::from_secs(10), 1_000_000);
        let later = start + Duration::from_secs(20);
        sampler.expire(later);
        sampler.expire(later + PERIOD);
        let (samples, _) = run(&sampler, later + PERIOD, Duration::from_secs(100), 1000);
        assert_eq!(samples, 1000);
    }

    #[test]
    fn at_low_rates_a_fixed_share_is_sampled_without_bias() {
        let (sampler, start) = (Sampler::new(7, 16), clock::now());
        assert_eq!(run(&sampler, start, Duration::from_secs(60), FIRST), (FIRST, FIRST));
        let (mut samples, mut sum) = (0, 0);
        for second in 60..100_060 {
            let now = start + Duration::from_secs(second);
            sampler.expire(now);
            if sampler.is_sample() {
                samples += 1;
                sum += sampler.weight(now);
            }
        }
        assert!((5_900..6_600).contains(&samples), "{samples}");
        assert!((95_000..105_000).contains(&sum), "{sum}");
    }

    #[test]
    fn responses_in_a_cycle_have_equal_shares() {
        let (sampler, start) = (Sampler::new(7, 1), clock::now());
        let mut shares = [0_u32; 8];
        for number in 0..2_000_000_u32 {
            if sampler.is_sample() {
                shares[number as usize % 8] += sampler.weight(start + PERIOD * (number / 100_000));
            }
        }
        assert!(shares.iter().all(|share| (150_000..350_000).contains(share)), "{shares:?}");
    }
}
