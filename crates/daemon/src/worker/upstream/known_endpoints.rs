//! Known endpoints: those of the upstreams of the present configuration, and of removed ones while
//! queries to them are in flight.

use std::collections::HashMap;
use std::sync::Arc;

use resolver::policy::UpstreamId;

use super::endpoint::{UpstreamEndpoint, UpstreamEndpoints};

struct KnownEndpoint {
    endpoint: Arc<UpstreamEndpoint>,
    /// The configuration that no longer had it; none while it is configured.
    removed_by: Option<u64>,
}

#[derive(Default)]
pub(super) struct KnownEndpoints {
    known: HashMap<UpstreamId, KnownEndpoint>,
    /// Number of the present configuration.
    configuration: u64,
}

impl KnownEndpoints {
    pub(super) fn new(configured: UpstreamEndpoints) -> Self {
        let mut endpoints = Self::default();
        endpoints.configure(configured);
        endpoints
    }

    pub(super) fn get(&self, id: UpstreamId) -> Option<Arc<UpstreamEndpoint>> {
        self.known.get(&id).map(|known| Arc::clone(&known.endpoint))
    }

    /// Applies a configuration; returns its number. Upstreams that it does not have are kept until
    /// [`Self::forget_removed_by`].
    pub(super) fn configure(&mut self, configured: UpstreamEndpoints) -> u64 {
        self.configuration += 1;
        for known in self.known.values_mut() {
            known.removed_by.get_or_insert(self.configuration);
        }
        for (id, endpoint) in configured {
            self.known.insert(id, KnownEndpoint { endpoint, removed_by: None });
        }
        self.configuration
    }

    /// Forgets what a configuration has removed and no later one has added again.
    pub(super) fn forget_removed_by(&mut self, configuration: u64) {
        self.known.retain(|_, known| known.removed_by != Some(configuration));
    }
}
