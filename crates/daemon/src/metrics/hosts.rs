//! Entries of the `hosts` directive: `coredns_hosts_*`.

use super::family::Family;
use super::process_counters::ProcessCounters;
use crate::counters::CounterRegistry;

pub(super) fn families(counters: &CounterRegistry, process: &ProcessCounters) -> [Family; 2] {
    let mut entries = Family::gauge(
        "coredns_hosts_entries",
        "Pairs of name and address, and of address and name, in the hosts file and in the Corefile.",
    );
    for (file, count) in counters.hosts_entries() {
        entries.series(&[("hostsfile", file)], *count as f64);
    }
    let mut modified = Family::gauge(
        "coredns_hosts_reload_timestamp_seconds",
        "When the hosts file read last was modified, in seconds since 1970.",
    );
    modified.series(&[], process.hosts_modified.get() as f64 / 1e9);
    [entries, modified]
}
