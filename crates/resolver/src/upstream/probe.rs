//! Probes of silent upstreams: copies of clients' queries, one at a time to each in the whole
//! process, until it responds.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::policy::{Upstream, UpstreamState};

/// Permission for the only probe of an upstream, until it is dropped.
#[derive(Debug)]
pub(crate) struct ProbePermit(Arc<UpstreamState>);

impl ProbePermit {
    /// None while another probe of the upstream runs, in any worker.
    pub(crate) fn acquire(upstream: &Upstream) -> Option<Self> {
        let is_running = upstream.state.probe_running.swap(true, Relaxed);
        (!is_running).then(|| Self(Arc::clone(&upstream.state)))
    }
}

impl Drop for ProbePermit {
    fn drop(&mut self) {
        self.0.probe_running.store(false, Relaxed);
    }
}
