//! Statistics of names and clients, from sampled responses of all workers.

use std::time::Instant;

use serde_json::{Value, json};

use super::clients::Clients;
use super::names::Names;
use super::sample::Sample;

/// Statistics that all workers share.
#[derive(Debug)]
pub(crate) struct Statistics {
    names: Names,
    clients: Clients,
}

impl Statistics {
    pub(crate) fn new() -> Self {
        Self { names: Names::new(), clients: Clients::new() }
    }

    pub(super) fn record(&self, sample: &Sample<'_>) {
        self.names.record(sample);
        self.clients.record(sample);
    }

    /// Octets on the heap.
    pub(crate) fn octets(&self) -> usize {
        self.names.octets() + self.clients.octets()
    }

    /// The first `limit` names of each list and clients.
    pub(crate) fn report(&self, now: Instant, limit: usize) -> Value {
        json!({
            "names": self.names.report(limit),
            "clients": self.clients.report(now, limit),
            "octets": self.octets(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::trace::{MAX_SUBSCRIBERS, TraceFilter, TraceHub};
    use super::*;
    use crate::clock;
    use crate::memory_plan::MemoryPlan;
    use resolver::action::ResponseSource;
    use std::net::Ipv6Addr;
    use std::sync::Arc;
    use std::time::Duration;
    use wire::header::{Rcode, RecordType};

    #[test]
    fn a_flood_of_long_failing_names_from_many_clients_stays_within_the_memory_plan() {
        let (statistics, now) = (Statistics::new(), clock::now());
        for number in 0..20_000_u32 {
            let mut name = [63; 255];
            name[1..5].copy_from_slice(&number.to_be_bytes());
            statistics.record(&Sample {
                client: Ipv6Addr::from(u128::from(number)).into(),
                name: &name,
                qtype: RecordType::AAAA,
                rcode: Rcode::SERVFAIL,
                source: ResponseSource::Error,
                duration: Duration::from_micros(u64::from(number)),
                now,
                weight: 1,
            });
        }
        let hub = Arc::new(TraceHub::default());
        let subscribe = |_| hub.subscribe(TraceFilter::default()).unwrap();
        let subscriptions: Vec<_> = (0..MAX_SUBSCRIBERS).map(subscribe).collect();
        let (used, planned) = (statistics.octets() + hub.octets(), MemoryPlan::of_process(None).insight);
        assert!(used > 3 << 20, "{used}: everything is full");
        assert!(used as u64 <= planned, "{used} of {planned}");
        drop(subscriptions);
        assert_eq!(hub.octets(), 0);
    }
}
