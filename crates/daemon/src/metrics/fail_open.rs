//! Fail-open metrics: where queries go while no instance answers them, and how many went there, read
//! from the packet filter at each scrape.

use std::sync::{Mutex, MutexGuard, PoisonError};

use linux::packet_filter::{Fallback, FilterConfig, PacketFilter};

use super::family::Family;

/// The packet-filter rules in place.
#[derive(Debug, Default)]
pub struct FailOpenRules {
    filter: Mutex<Option<PacketFilter>>,
}

impl FailOpenRules {
    /// Reads the counters of these rules from now on; `None` without rules. Whether they are other
    /// ones than before.
    pub fn set(&self, config: Option<&FilterConfig>) -> bool {
        let mut filter = self.filter();
        if filter.as_ref().map(PacketFilter::config) == config {
            return false;
        }
        *filter = config.cloned().map(PacketFilter::new);
        true
    }

    pub(super) fn families(&self) -> [Family; 3] {
        let mut available = Family::gauge(
            "nodelocaldns_fail_open_available",
            "Whether the kernel sends queries for an address to the upstream while this process is gone \
             or hangs.",
        );
        let mut sent = Family::counter(
            "nodelocaldns_fail_open_total",
            "UDP packets and TCP connections that the kernel sent to the upstream, since the rules were \
             installed.",
        );
        let mut guarded = Family::counter(
            "nodelocaldns_guarded_packets_total",
            "Packets of other hosts to our addresses that the packet filter dropped, since the rules were \
             installed.",
        );
        let mut filter = self.filter();
        let Some(filter) = filter.as_mut() else { return [available, sent, guarded] };
        for filtered in &filter.config().addresses {
            let address = filtered.address.to_string();
            let upstream = match filtered.fallback {
                Some(Fallback::Service(upstream)) => upstream.to_string(),
                Some(Fallback::Itself) => address.clone(),
                None => String::new(),
            };
            let value = if filtered.fallback.is_some() { 1.0 } else { 0.0 };
            available.series(&[("address", &address), ("upstream", &upstream)], value);
        }
        // Without the table there is nothing to count; it is restored at once.
        let counts = filter.packet_counts().unwrap_or_default();
        guarded.series(&[], counts.guarded as f64);
        for count in counts.fallback {
            let protocol = if count.tcp { "tcp" } else { "udp" };
            let address = count.address.to_string();
            sent.series(&[("address", &address), ("protocol", protocol)], count.packets as f64);
        }
        [available, sent, guarded]
    }

    fn filter(&self) -> MutexGuard<'_, Option<PacketFilter>> {
        self.filter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
