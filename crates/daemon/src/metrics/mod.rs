//! What Prometheus scrapes: the counters of all workers, summed when someone looks, under the names of CoreDNS and
//! node-cache, and a few of our own that start with `nodelocaldns_`.

mod cache;
mod family;
mod labels;
mod node;
mod process_counters;
mod procfs;
mod requests;
mod upstreams;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Registry, TextEncoder};

use self::family::Family;
pub use self::process_counters::{
    AtomicCounter, AtomicGauge, ByLimit, ClientConnections, Handovers, HealthCheckDurations, ImportedEntries,
    ProcessCounters, Reloads, SetupError, Snapshots,
};
use crate::counters::CounterRegistry;

/// The content type of an exposition.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";

/// What this process was built from, for `coredns_build_info`.
#[derive(Clone, Debug, Default)]
pub struct BuildInfo {
    /// The version of this project.
    pub version: String,
    /// The commit; empty when unknown.
    pub revision: String,
    /// The compiler, as in `rustc 1.95.0`.
    pub compiler: String,
}

/// The page at `/metrics`.
pub struct Exposition {
    registry: Registry,
    scrapes: AtomicCounter,
    failures: AtomicCounter,
}

impl fmt::Debug for Exposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exposition").finish_non_exhaustive()
    }
}

impl Exposition {
    /// A page of these counters.
    ///
    /// # Errors
    /// When the registry refuses the collector, which would be a defect of this module.
    pub fn new(
        counters: Arc<Mutex<CounterRegistry>>,
        process: Arc<ProcessCounters>,
        build: BuildInfo,
    ) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        registry.register(Box::new(Figures { counters, process, build }))?;
        Ok(Self { registry, scrapes: AtomicCounter::default(), failures: AtomicCounter::default() })
    }

    /// The page in text format 0.0.4.
    ///
    /// # Errors
    /// When a figure cannot be written in that format, which would be a defect of this module.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// The same page with what the second endpoint tells of its own scrapes. A scrape counts once it is over.
    ///
    /// # Errors
    /// As [`Exposition::render`].
    pub fn render_with_scrapes(&self) -> Result<String, prometheus::Error> {
        let mut families = self.registry.gather();
        families.extend(self.scrape_families().into_iter().map(MetricFamily::from));
        let page = TextEncoder::new().encode_to_string(&families);
        if page.is_ok() {
            self.scrapes.inc()
        } else {
            self.failures.inc()
        }
        page
    }

    fn scrape_families(&self) -> [Family; 2] {
        let mut in_flight = Family::gauge(
            "promhttp_metric_handler_requests_in_flight",
            "Current number of scrapes being served.",
        );
        in_flight.series(&[], 1.0);
        let mut scrapes = Family::counter(
            "promhttp_metric_handler_requests_total",
            "Total number of scrapes by HTTP status code.",
        );
        for (code, count) in [("200", self.scrapes.get()), ("500", self.failures.get()), ("503", 0)] {
            scrapes.series(&[("code", code)], count as f64);
        }
        [in_flight, scrapes]
    }
}

/// Sums the counters at each scrape.
struct Figures {
    counters: Arc<Mutex<CounterRegistry>>,
    process: Arc<ProcessCounters>,
    build: BuildInfo,
}

impl Collector for Figures {
    /// None: the families come and go with the configuration, so there is nothing to check beforehand.
    fn desc(&self) -> Vec<&Desc> {
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = procfs::families();
        {
            let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
            counters.note_stored();
            families.extend(requests::families(&counters));
            families.extend(cache::families(&counters));
            families.extend(upstreams::families(&counters));
            families.extend(node::families(&counters, &self.process, &self.build));
            families.extend(node::own_families(&counters, &self.process));
        }
        families.into_iter().map(MetricFamily::from).collect()
    }
}
