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

    /// The first `limit` names of each list and clients.
    pub(crate) fn report(&self, now: Instant, limit: usize) -> Value {
        json!({
            "names": self.names.report(limit),
            "clients": self.clients.report(now, limit),
            "names_octets": self.names.octets(),
        })
    }
}
