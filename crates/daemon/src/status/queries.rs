//! Responses since the start of the process: their number, RCODEs and durations.

use resolver::counters::{COUNTED_RCODES, DURATION_BOUNDS};
use serde_json::{Map, Value, json};
use wire::header::Rcode;

use crate::counters::CounterRegistry;

/// Server blocks without `prometheus` are not counted.
pub(super) fn report(counters: &CounterRegistry) -> Value {
    let mut rcodes = [0_u64; COUNTED_RCODES];
    let mut buckets = [0_u64; DURATION_BOUNDS.len() + 1];
    let mut nanos = 0_u64;
    for worker in counters.routes().flat_map(|(_, _, workers)| workers) {
        for row in &worker.responses {
            rcodes.iter_mut().zip(row).for_each(|(sum, count)| *sum += count.get());
        }
        buckets.iter_mut().zip(worker.durations.buckets()).for_each(|(sum, count)| *sum += count);
        nanos = nanos.wrapping_add(worker.durations.sum());
    }
    json!({
        "responses": rcodes.iter().sum::<u64>(),
        "rcodes": by_mnemonic(&rcodes),
        "seconds": nanos as f64 / 1e9,
        "duration_bounds": DURATION_BOUNDS,
        "durations": buckets,
    })
}

/// Those that occurred.
fn by_mnemonic(rcodes: &[u64; COUNTED_RCODES]) -> Map<String, Value> {
    let counted = (0_u16..).zip(rcodes).filter(|(_, count)| **count > 0);
    counted
        .map(|(rcode, count)| {
            let is_last = usize::from(rcode) == COUNTED_RCODES - 1;
            let name = if is_last { "other".to_owned() } else { Rcode(rcode).to_string() };
            (name, json!(count))
        })
        .collect()
}
