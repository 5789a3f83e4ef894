//! Status of the running instance, as JSON for the control socket and the page of the metrics port:
//! what is configured, what is in place, and what the counters of all workers sum up to.

mod cache;
mod limits;
mod node;
mod queries;
mod upstreams;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};

use crate::counters::CounterRegistry;
use crate::metrics::ProcessCounters;
use crate::readiness::Readiness;

/// What the flags request on the node.
#[derive(Clone, Debug, Default)]
pub struct NodeFlags {
    /// Addresses to serve.
    pub addresses: Vec<IpAddr>,
    /// Name of the link that the instance maintains; `None` if it maintains none.
    pub link: Option<String>,
    /// It maintains packet-filter rules.
    pub rules: bool,
}

/// The configuration in effect.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    /// A path, `stdin`, or `the built-in Corefile`.
    pub source: String,
    /// The Corefile, its template filled in.
    pub text: String,
    /// SHA-512 in hexadecimal.
    pub hash: String,
    /// Sentences about it.
    pub warnings: Vec<String>,
    /// Each listener with its zones.
    pub listeners: Vec<(String, Vec<String>)>,
}

/// Reads the status; shared by all that report it.
pub struct StatusReader {
    version: &'static str,
    revision: &'static str,
    /// Of the process, on both clocks.
    started: (Instant, u64),
    node: NodeFlags,
    readiness: Readiness,
    counters: Arc<Mutex<CounterRegistry>>,
    process: Arc<ProcessCounters>,
    configuration: Mutex<Configuration>,
}

impl fmt::Debug for StatusReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusReader").finish_non_exhaustive()
    }
}

impl StatusReader {
    /// Of a process that starts at `started`, by the monotonic clock and in seconds since 1970.
    pub fn new(
        started: (Instant, u64),
        node: NodeFlags,
        readiness: Readiness,
        counters: Arc<Mutex<CounterRegistry>>,
        process: Arc<ProcessCounters>,
    ) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            revision: option_env!("NODELOCALDNS_REVISION").unwrap_or_default(),
            started,
            node,
            readiness,
            counters,
            process,
            configuration: Mutex::default(),
        }
    }

    /// Sets the configuration in effect, at start-up and at each reload.
    pub fn set_configuration(&self, configuration: Configuration) {
        *self.configuration() = configuration;
    }

    /// The status at `now`. It has no name of a query and no address of a client.
    pub fn status(&self, now: Instant) -> Value {
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        self.process.udp_queues.read();
        let uptime = now.saturating_duration_since(self.started.0);
        let unmet = self.readiness.unmet();
        json!({
            "version": self.version,
            "revision": self.revision,
            "pid": std::process::id(),
            "started": self.started.1,
            "uptime_seconds": uptime.as_secs_f64(),
            "ready": self.readiness.is_ready(),
            "waits_for": unmet,
            "node": node::report(&self.node, !unmet.contains(&"link"), &self.process),
            "listeners": self.listeners(),
            "upstreams": upstreams::report(&counters),
            "queries": queries::report(&counters),
            "cache": cache::report(&counters, &self.process),
            "memory": limits::memory(&self.process),
            "limits": limits::hits(&counters, &self.process),
            "reload": self.reload(),
        })
    }

    /// Where the first listener is: its label without scheme, loopback if it is on all addresses.
    pub(crate) fn first_listener(&self) -> Option<SocketAddr> {
        let configuration = self.configuration();
        let (label, _) = configuration.listeners.first()?;
        let address = label.strip_prefix("dns://")?;
        match address.strip_prefix(':') {
            Some(port) => Some((Ipv4Addr::LOCALHOST, port.parse().ok()?).into()),
            None => address.parse().ok(),
        }
    }

    /// The configuration in effect.
    pub fn corefile(&self) -> Value {
        let Configuration { source, text, hash, warnings, .. } = &*self.configuration();
        json!({ "source": source, "sha512": hash, "corefile": text, "warnings": warnings })
    }

    fn listeners(&self) -> Vec<Value> {
        let configuration = self.configuration();
        let listeners = configuration.listeners.iter();
        listeners.map(|(server, zones)| json!({ "server": server, "zones": zones })).collect()
    }

    fn reload(&self) -> Value {
        let last = self.process.reloads.last();
        let configuration = self.configuration();
        json!({
            "source": configuration.source,
            "sha512": configuration.hash,
            "failed": self.process.reloads.failed.get(),
            "last": last.as_ref().map(|last| last.unix_time),
            "failure": last.and_then(|last| last.failure),
        })
    }

    fn configuration(&self) -> MutexGuard<'_, Configuration> {
        self.configuration.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A part of a whole, 0 to 1; 0 of nothing.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
