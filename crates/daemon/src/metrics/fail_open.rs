//! Fail-open metrics: where queries go while no instance answers them, and how many went there, read
//! from the packet filter at each scrape.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use linux::packet_filter::{Fallback, FilterConfig, PacketCounts};

use super::family::Family;

/// Reads what the rules have counted.
pub struct CountReader(Box<dyn FnMut() -> PacketCounts + Send>);

impl CountReader {
    /// By this function, which takes some milliseconds at most.
    pub fn new(read: impl FnMut() -> PacketCounts + Send + 'static) -> Self {
        Self(Box::new(read))
    }

    fn read(&mut self) -> PacketCounts {
        (self.0)()
    }
}

impl fmt::Debug for CountReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CountReader")
    }
}

/// The packet-filter rules in place.
#[derive(Debug, Default)]
pub struct FailOpenRules {
    rules: Mutex<Option<(FilterConfig, CountReader)>>,
}

impl FailOpenRules {
    /// Whether these rules are those whose counters are read.
    #[must_use]
    pub fn has(&self, config: Option<&FilterConfig>) -> bool {
        self.rules().as_ref().map(|(config, _)| config) == config
    }

    /// Reads the counters of these rules from now on; `None` without rules.
    pub fn set(&self, rules: Option<(FilterConfig, CountReader)>) {
        *self.rules() = rules;
    }

    /// The rules in place, and what they have counted; `None` without rules.
    pub(crate) fn read(&self) -> Option<(FilterConfig, PacketCounts)> {
        self.rules().as_mut().map(|(config, counters)| (config.clone(), counters.read()))
    }

    pub(super) fn families(&self) -> [Family; 3] {
        let mut available = Family::gauge(
            "nodelocaldns_fail_open_available",
            "Whether the kernel sends queries for an address to the upstream while this process is gone \
             or hangs.",
        );
        let mut sent = Family::counter(
            "nodelocaldns_fail_open_total",
            "UDP packets and TCP connections that the kernel sent to the upstream.",
        );
        let mut guarded = Family::counter(
            "nodelocaldns_guarded_packets_total",
            "Packets of other hosts to our addresses that the packet filter dropped.",
        );
        let mut rules = self.rules();
        let Some((config, counters)) = rules.as_mut() else { return [available, sent, guarded] };
        for filtered in &config.addresses {
            let address = filtered.address.to_string();
            let upstream = match filtered.fallback {
                Some(Fallback::Service(upstream)) => upstream.to_string(),
                Some(Fallback::Itself) => address.clone(),
                None => String::new(),
            };
            let value = if filtered.fallback.is_some() { 1.0 } else { 0.0 };
            available.series(&[("address", &address), ("upstream", &upstream)], value);
        }
        let counts = counters.read();
        guarded.series(&[], counts.guarded as f64);
        for count in counts.fallback {
            let protocol = if count.tcp { "tcp" } else { "udp" };
            let address = count.address.to_string();
            sent.series(&[("address", &address), ("protocol", protocol)], count.packets as f64);
        }
        [available, sent, guarded]
    }

    fn rules(&self) -> MutexGuard<'_, Option<(FilterConfig, CountReader)>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
