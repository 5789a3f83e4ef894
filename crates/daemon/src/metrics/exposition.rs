//! The `/metrics` page: collects the families of all subjects and encodes them as text.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Registry, TextEncoder};

use super::build_info::BuildInfo;
use super::family::Family;
use super::process_counters::{AtomicCounter, ProcessCounters};
use super::{
    acl, cache, clients, dns64, hosts, localhost, nxdomain_cuts, process, procfs, requests, templates,
    upstreams,
};
use crate::counters::CounterRegistry;

/// Content type of the page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";

/// The `/metrics` page.
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
    /// The registry rejects the collector: a defect of this module.
    pub fn new(
        counters: Arc<Mutex<CounterRegistry>>,
        process: Arc<ProcessCounters>,
        build: BuildInfo,
    ) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        registry.register(Box::new(Families { counters, process, build }))?;
        Ok(Self { registry, scrapes: AtomicCounter::default(), failures: AtomicCounter::default() })
    }

    /// The page in text format 0.0.4.
    ///
    /// # Errors
    /// A family cannot be encoded: a defect of this module.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// The same page with the scrapes of this endpoint (`promhttp_*`), counted when complete.
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
struct Families {
    counters: Arc<Mutex<CounterRegistry>>,
    process: Arc<ProcessCounters>,
    build: BuildInfo,
}

impl Collector for Families {
    /// Empty: the families depend on the configuration and cannot be checked at registration.
    fn desc(&self) -> Vec<&Desc> {
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = procfs::families();
        self.process.udp_queues.read();
        {
            let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
            counters.note_stored();
            families.extend(requests::families(&counters));
            families.extend(cache::families(&counters));
            families.extend(nxdomain_cuts::families(&counters));
            families.extend(acl::families(&counters));
            families.extend(dns64::families(&counters));
            families.extend(localhost::families(&counters));
            families.extend(templates::families(&counters));
            families.extend(upstreams::families(&counters));
            families.extend(hosts::families(&counters, &self.process));
            families.extend(process::families(&counters, &self.process, &self.build));
            families.extend(clients::families(&counters, &self.process));
        }
        families.extend(self.process.memory.families());
        families.into_iter().map(MetricFamily::from).collect()
    }
}
