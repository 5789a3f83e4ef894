//! Figures of a run: units, medians, quantiles.

use std::time::{Duration, Instant};

#[expect(clippy::disallowed_methods, reason = "benchmarks measure time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Ascending.
pub(crate) fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The median of ascending values, the upper of two; NaN without values.
pub(crate) fn median(ascending: &[f64]) -> f64 {
    quantile(ascending, 50)
}

/// The first of ascending values that is above `per_cent` per cent of them, or the last; NaN
/// without values.
pub(crate) fn quantile(ascending: &[f64], per_cent: usize) -> f64 {
    quantile_per_mille(ascending, per_cent * 10)
}

/// The same in tenths of a per cent.
pub(crate) fn quantile_per_mille(ascending: &[f64], per_mille: usize) -> f64 {
    let index = ascending.len() * per_mille / 1000;
    ascending.get(index).or_else(|| ascending.last()).copied().unwrap_or(f64::NAN)
}

pub(crate) fn count(number: u64) -> f64 {
    u32::try_from(number).map_or(f64::NAN, f64::from)
}

pub(crate) fn micros(nanoseconds: u64) -> f64 {
    Duration::from_nanos(nanoseconds).as_secs_f64() * 1e6
}
