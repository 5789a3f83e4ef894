//! Metrics of the process: build, plugins, local health requests, reloads, node set-up, hand-over,
//! snapshots, log.

use resolver::counters::WorkerCounters;

use super::build_info::BuildInfo;
use super::family::{Distribution, Family, total};
use super::process_counters::{HEALTH_REQUEST_BOUNDS, ProcessCounters};
use crate::counters::CounterRegistry;

pub(super) fn families(
    counters: &CounterRegistry,
    process: &ProcessCounters,
    build: &BuildInfo,
) -> Vec<Family> {
    let panics = total(counters.workers(), |counters: &WorkerCounters| Some(&counters.panics));
    let mut families = vec![
        build_info(build),
        enabled_plugins(counters),
        Family::of_count("coredns_panics_total", "Panics caught while processing a packet.", panics),
        health_request_durations(process),
        Family::of_count(
            "coredns_health_request_failures_total",
            "Local requests to the health endpoint that failed.",
            process.health_request_failures.get(),
        ),
        Family::of_count(
            "coredns_reload_failed_total",
            "Reloads that failed; the running configuration stayed in effect.",
            process.reloads.failed.get(),
        ),
        reload_version(process),
        setup_errors(process),
        Family::of_count(
            "nodelocaldns_node_repairs_total",
            "Links, addresses and rules of this process that were missing and have been restored.",
            process.repairs.get(),
        ),
        Family::of_count(
            "nodelocaldns_netlink_overruns_total",
            "Overflows of the queues for netlink events; link, addresses and rules were verified after each.",
            process.netlink_overruns.get(),
        ),
        confined(process),
        handovers(process),
        imported_entries(process),
        omitted_entries(process),
        Family::of_count(
            "nodelocaldns_snapshot_writes_total",
            "Snapshots of the cache written, for a process that starts after a crash.",
            process.snapshots.written.get(),
        ),
        Family::of_count(
            "nodelocaldns_snapshot_write_errors_total",
            "Snapshots of the cache that could not be written.",
            process.snapshots.failed.get(),
        ),
        Family::of_count(
            "nodelocaldns_log_lines_dropped_total",
            "Log lines dropped because the reader of stdout was too slow.",
            process.dropped_lines.get(),
        ),
    ];
    families.extend(process.fail_open.families());
    families
}

fn health_request_durations(process: &ProcessCounters) -> Family {
    let mut family = Family::histogram(
        "coredns_health_request_duration_seconds",
        "Latency of local requests to the health endpoint.",
    );
    let observed = Distribution {
        bounds: &HEALTH_REQUEST_BOUNDS,
        buckets: process.health_requests.buckets(),
        sum: process.health_requests.nanos() as f64 / 1e9,
    };
    family.distribution(&[], &observed);
    family
}

fn build_info(build: &BuildInfo) -> Family {
    let mut family = Family::gauge(
        "coredns_build_info",
        "Version, commit and compiler of this binary; goversion, the label that dashboards expect, \
         names the Rust compiler.",
    );
    let labels =
        [("version", &*build.version), ("revision", &*build.revision), ("goversion", &*build.compiler)];
    family.series(&labels, 1.0);
    family
}

fn enabled_plugins(counters: &CounterRegistry) -> Family {
    let mut family =
        Family::gauge("coredns_plugin_enabled", "Plugins that handle queries, by listener and server block.");
    for row in counters.enabled_plugins() {
        let labels = [("server", &*row.server), ("zone", &*row.zone), ("view", ""), ("name", &*row.name)];
        family.series(&labels, 1.0);
    }
    family
}

fn reload_version(process: &ProcessCounters) -> Family {
    let mut family =
        Family::gauge("coredns_reload_version_info", "SHA-512 of the running configuration after a reload.");
    if let Some(version) = process.reloads.version() {
        family.series(&[("hash", "sha512"), ("value", &version)], 1.0);
    }
    family
}

fn setup_errors(process: &ProcessCounters) -> Family {
    let mut family = Family::counter(
        "coredns_nodecache_setup_errors_total",
        "Errors while setting up the node: packet filter, link, addresses, configuration.",
    );
    for (kind, count) in process.setup_errors() {
        family.series(&[("errortype", kind)], count as f64);
    }
    family
}

fn handovers(process: &ProcessCounters) -> Family {
    let mut family = Family::counter(
        "nodelocaldns_handovers_total",
        "Hand-overs between instances on this node: taken_over from a predecessor, handed_over to \
         a successor, resumed after the successor ended, refused by a predecessor.",
    );
    let counts = &process.handovers;
    for (event, count) in [
        ("taken_over", &counts.taken_over),
        ("handed_over", &counts.handed_over),
        ("resumed", &counts.resumed),
        ("refused", &counts.refused),
    ] {
        family.series(&[("event", event)], count.get() as f64);
    }
    family
}

fn confined(process: &ProcessCounters) -> Family {
    let mut family = Family::gauge(
        "nodelocaldns_confined",
        "Whether the kernel confines the process: its threads to the system calls that they need \
         (seccomp), and the process to the files of its configuration (landlock).",
    );
    let gauges = &process.confined;
    for (by, gauge) in [("seccomp", &gauges.seccomp), ("landlock", &gauges.landlock)] {
        family.series(&[("by", by)], gauge.get() as f64);
    }
    family
}

fn imported_entries(process: &ProcessCounters) -> Family {
    let mut family = Family::counter(
        "nodelocaldns_cache_imported_entries_total",
        "Cache entries imported from the previous process: in the hand-over (predecessor), or from \
         a snapshot file (snapshot).",
    );
    let counts = &process.imported;
    for (source, count) in [("predecessor", &counts.predecessor), ("snapshot", &counts.snapshot)] {
        family.series(&[("source", source)], count.get() as f64);
    }
    family
}

fn omitted_entries(process: &ProcessCounters) -> Family {
    let mut family = Family::counter(
        "nodelocaldns_cache_omitted_entries_total",
        "Cache entries left out of the hand-over, because they could not be sent in time \
         (successor), or of a snapshot file, because of its size (snapshot, at each write).",
    );
    let counts = &process.omitted;
    for (destination, count) in [("successor", &counts.successor), ("snapshot", &counts.snapshot)] {
        family.series(&[("destination", destination)], count.get() as f64);
    }
    family
}
