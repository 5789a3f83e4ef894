//! Clients by address: rates, RCODEs and hits. In moka, which forgets those that are idle, and keeps
//! frequent ones in a flood of addresses that are seen once.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::sync::Cache;
use serde_json::{Value, json};
use wire::header::Rcode;

use super::sample::Sample;

/// Clients that are remembered: several times the pods of a node.
const CAPACITY: u64 = 1024;
/// Of a client, with the entry of moka and its part of the tables and of the sketch of frequencies.
const CLIENT_OCTETS: u64 = 600;
/// A client without queries is forgotten after this.
const IDLE: Duration = Duration::from_secs(600);
/// Rates are over this time.
const WINDOW: Duration = Duration::from_secs(10);

/// The clients.
#[derive(Debug)]
pub(super) struct Clients {
    clients: Cache<IpAddr, Arc<Mutex<Client>>>,
}

#[derive(Clone, Debug, Default)]
struct Client {
    queries: u64,
    hits: u64,
    nxdomain: u64,
    servfail: u64,
    /// Neither NOERROR nor these.
    others: u64,
    rate: Rate,
}

/// Queries of this and of the last window.
#[derive(Clone, Debug, Default)]
struct Rate {
    start: Option<Instant>,
    current: u64,
    last: u64,
}

impl Clients {
    pub(super) fn new() -> Self {
        Self { clients: Cache::builder().max_capacity(CAPACITY).time_to_idle(IDLE).build() }
    }

    /// Counts a response, without waiting for a reader.
    pub(super) fn record(&self, sample: &Sample<'_>) {
        let client = self.clients.get_with(sample.client, Arc::default);
        let Ok(mut client) = client.try_lock() else { return };
        let weight = u64::from(sample.weight);
        client.queries += weight;
        if sample.source.is_cache() {
            client.hits += weight;
        }
        match sample.rcode {
            Rcode::NOERROR => {}
            Rcode::NXDOMAIN => client.nxdomain += weight,
            Rcode::SERVFAIL => client.servfail += weight,
            _ => client.others += weight,
        }
        client.rate.add(sample.now, weight);
    }

    /// Octets on the heap, estimated.
    pub(super) fn octets(&self) -> usize {
        usize::try_from(self.clients.entry_count() * CLIENT_OCTETS).unwrap_or(usize::MAX)
    }

    /// The `limit` clients with the highest rates.
    pub(super) fn report(&self, now: Instant, limit: usize) -> Vec<Value> {
        let read = |client: &Mutex<Client>| client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut clients: Vec<(IpAddr, Client, f64)> = self
            .clients
            .iter()
            .map(|(address, client)| {
                let client = read(&client);
                let rate = client.rate.per_second(now);
                (*address, client, rate)
            })
            .collect();
        clients.sort_by(|(_, left, left_rate), (_, right, right_rate)| {
            right_rate.total_cmp(left_rate).then(right.queries.cmp(&left.queries))
        });
        clients.truncate(limit);
        let rows = clients.into_iter().map(|(address, client, rate)| {
            let Client { queries, hits, nxdomain, servfail, others, .. } = client;
            json!({
                "client": address.to_string(),
                "per_second": rate,
                "queries": queries,
                "hit_ratio": hits as f64 / queries.max(1) as f64,
                "NOERROR": queries.saturating_sub(nxdomain + servfail + others),
                "NXDOMAIN": nxdomain,
                "SERVFAIL": servfail,
                "others": others,
            })
        });
        rows.collect()
    }
}

impl Rate {
    fn add(&mut self, now: Instant, count: u64) {
        let start = *self.start.get_or_insert(now);
        let age = now.saturating_duration_since(start);
        if age >= WINDOW {
            self.last = if age < 2 * WINDOW { self.current } else { 0 };
            self.current = 0;
            self.start = Some(if age < 2 * WINDOW { start + WINDOW } else { now });
        }
        self.current = self.current.saturating_add(count);
    }

    /// Over the last window, of whose first part the counts are taken as even.
    fn per_second(&self, now: Instant) -> f64 {
        let age = self.start.map_or(WINDOW, |start| now.saturating_duration_since(start));
        let (window, elapsed) = (WINDOW.as_secs_f64(), age.as_secs_f64());
        if age >= 2 * WINDOW {
            0.0
        } else if age >= WINDOW {
            self.current as f64 * (2.0 - elapsed / window) / window
        } else {
            (self.current as f64 + self.last as f64 * (1.0 - elapsed / window)) / window
        }
    }
}

#[cfg(test)]
mod tests {
    use resolver::action::ResponseSource;
    use wire::header::RecordType;

    use super::*;
    use crate::clock;

    fn sample(client: [u8; 4], now: Instant, rcode: Rcode) -> Sample<'static> {
        Sample {
            client: client.into(),
            name: b"\0",
            qtype: RecordType::A,
            rcode,
            source: ResponseSource::Cache,
            duration: Duration::ZERO,
            now,
            weight: 2,
        }
    }

    #[test]
    fn clients_have_rates_and_rcodes() {
        let (clients, start) = (Clients::new(), clock::now());
        for second in 0..40 {
            let now = start + Duration::from_secs(second);
            clients.record(&sample([10, 0, 0, 1], now, Rcode::NOERROR));
            clients.record(&sample([10, 0, 0, 1], now, Rcode::NXDOMAIN));
        }
        let now = start + Duration::from_secs(40);
        clients.record(&sample([10, 0, 0, 2], now, Rcode::SERVFAIL));
        let report = clients.report(now, 5);
        let [busy, other] = &report[..] else { panic!("{report:?}") };
        assert_eq!(
            (&busy["client"], &busy["queries"], &busy["NXDOMAIN"]),
            (&json!("10.0.0.1"), &json!(160), &json!(80))
        );
        assert!((3.0..5.0).contains(&busy["per_second"].as_f64().unwrap()), "{busy}");
        assert_eq!((&other["SERVFAIL"], &other["hit_ratio"]), (&json!(2), &json!(1.0)));
        assert_eq!(clients.report(now + 2 * WINDOW, 1)[0]["per_second"], 0.0);
    }

    #[test]
    fn a_flood_of_addresses_is_bounded() {
        let (clients, now) = (Clients::new(), clock::now());
        for number in 0..20_000_u32 {
            clients.record(&sample(number.to_be_bytes(), now, Rcode::NOERROR));
        }
        clients.clients.run_pending_tasks();
        assert!(clients.clients.entry_count() <= CAPACITY);
    }
}
