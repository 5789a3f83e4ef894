//! The process and its node: what CoreDNS and node-cache tell of themselves, and what only we have to tell.

use resolver::counters::{BlockCounters, WorkerCounters};

use super::BuildInfo;
use super::family::{Distribution, Family, total};
use super::process_counters::{ByLimit, PROBE_BOUNDS, ProcessCounters};
use crate::counters::CounterRegistry;

/// Under names of CoreDNS and node-cache.
pub(super) fn families(
    counters: &CounterRegistry,
    process: &ProcessCounters,
    build: &BuildInfo,
) -> Vec<Family> {
    let panics = total(counters.workers(), |counters: &WorkerCounters| Some(&counters.panics));
    let mut families = vec![
        build_info(build),
        enabled(counters),
        plain("coredns_panics_total", "Panics caught while processing a packet.", panics),
        plain(
            "coredns_health_request_failures_total",
            "Self-checks of the health endpoint that failed.",
            process.health_check_failures.get(),
        ),
        plain(
            "coredns_reload_failed_total",
            "Reloads that failed; the running configuration stayed in effect.",
            process.reloads.failed.get(),
        ),
        setup_errors(process),
        reload_version(process),
    ];
    let mut probes = Family::histogram(
        "coredns_health_request_duration_seconds",
        "Latency of the self-checks of the health endpoint.",
    );
    probes.distribution(
        &[],
        &Distribution {
            bounds: &PROBE_BOUNDS,
            places: process.health_checks.places(),
            sum: process.health_checks.nanos() as f64 / 1e9,
        },
    );
    families.push(probes);
    families
}

fn build_info(build: &BuildInfo) -> Family {
    let mut family = Family::gauge(
        "coredns_build_info",
        "Version, commit and compiler of this binary; goversion, the label that dashboards expect, names the Rust compiler.",
    );
    let labels =
        [("version", &*build.version), ("revision", &*build.revision), ("goversion", &*build.compiler)];
    family.series(&labels, 1.0);
    family
}

fn enabled(counters: &CounterRegistry) -> Family {
    let mut family =
        Family::gauge("coredns_plugin_enabled", "Plugins that handle queries, by listener and server block.");
    for row in counters.enabled_plugins() {
        let labels = [("server", &*row.server), ("zone", &*row.zone), ("view", ""), ("name", &*row.name)];
        family.series(&labels, 1.0);
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

fn reload_version(process: &ProcessCounters) -> Family {
    let mut family =
        Family::gauge("coredns_reload_version_info", "SHA-512 of the running configuration after a reload.");
    if let Some(version) = process.reloads.version() {
        family.series(&[("hash", "sha512"), ("value", &version)], 1.0);
    }
    family
}

/// Under names of our own.
pub(super) fn own_families(counters: &CounterRegistry, process: &ProcessCounters) -> Vec<Family> {
    let late = total(counters.workers(), |counters: &WorkerCounters| Some(&counters.late_responses));
    let mut families = vec![
        rejected(counters),
        limits(counters),
        joined(counters),
        plain(
            "nodelocaldns_late_responses_total",
            "Upstream responses that arrived after every waiter had been answered; they are cached.",
            late,
        ),
    ];
    families.extend(super::upstreams::own_families(counters));
    families.extend(of_process(process));
    families.extend(successions(process));
    families
}

fn of_process(process: &ProcessCounters) -> Vec<Family> {
    let mut open = Family::gauge("nodelocaldns_tcp_connections", "Open TCP connections of clients.");
    open.series(&[], process.connections.open.get() as f64);
    vec![
        open,
        by_limit(
            "nodelocaldns_tcp_connections_refused_total",
            "TCP connections of clients refused because the limit of the process, or of the client, was reached and none was idle.",
            &process.connections.refused,
        ),
        by_limit(
            "nodelocaldns_tcp_connections_evicted_total",
            "Idle TCP connections of clients closed to accept a new one at the limit.",
            &process.connections.evicted,
        ),
        plain(
            "nodelocaldns_tcp_connections_write_buffer_exceeded_total",
            "TCP connections of clients closed because the responses that clients had not read exceeded the write buffers.",
            process.connections.write_buffer_exceeded.get(),
        ),
        plain(
            "nodelocaldns_tcp_accept_errors_total",
            "TCP connections not accepted for lack of descriptors or memory.",
            process.connections.accept_errors.get(),
        ),
        plain(
            "nodelocaldns_tcp_connections_timed_out_total",
            "TCP connections of clients closed by a timeout: the client was too slow, or idle.",
            process.connections.timed_out.get(),
        ),
        plain(
            "nodelocaldns_udp_send_errors_total",
            "UDP responses that the kernel did not send.",
            process.udp_send_errors.get(),
        ),
        plain(
            "nodelocaldns_udp_queue_overflows_total",
            "UDP queries that the kernel dropped because the receive queue of a worker was full.",
            process.udp_queue_overflows.get(),
        ),
        plain(
            "nodelocaldns_node_repairs_total",
            "Links, addresses and rules of this process that were missing and have been restored.",
            process.repairs.get(),
        ),
        handovers(process),
        plain(
            "nodelocaldns_log_lines_dropped_total",
            "Log lines dropped because the reader of stdout was too slow.",
            process.dropped_lines.get(),
        ),
    ]
}

fn handovers(process: &ProcessCounters) -> Family {
    let mut family = Family::counter(
        "nodelocaldns_handovers_total",
        "Hand-overs between instances on this node: taken_over from a predecessor, handed_over to a successor, resumed after the successor ended, refused by a predecessor.",
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

fn successions(process: &ProcessCounters) -> [Family; 3] {
    let mut inherited = Family::counter(
        "nodelocaldns_cache_imported_entries_total",
        "Cache entries imported from the previous process: in the hand-over (predecessor), or from a snapshot file (snapshot).",
    );
    let from = &process.imported;
    for (source, count) in [("predecessor", &from.predecessor), ("snapshot", &from.snapshot)] {
        inherited.series(&[("source", source)], count.get() as f64);
    }
    let written = plain(
        "nodelocaldns_snapshot_writes_total",
        "Snapshots of the cache written to disk.",
        process.snapshots.written.get(),
    );
    let failed = plain(
        "nodelocaldns_snapshot_write_errors_total",
        "Snapshots of the cache that could not be written to disk.",
        process.snapshots.failed.get(),
    );
    [inherited, written, failed]
}

fn rejected(counters: &CounterRegistry) -> Family {
    let mut family = Family::counter(
        "nodelocaldns_rejected_packets_total",
        "Packets that are not a valid query, by outcome: dropped, or answered with this RCODE.",
    );
    let workers = counters.workers();
    let reasons = [
        ("dropped", total(workers, |counters: &WorkerCounters| Some(&counters.dropped))),
        ("FORMERR", total(workers, |counters: &WorkerCounters| Some(&counters.format_errors))),
        ("NOTIMP", total(workers, |counters: &WorkerCounters| Some(&counters.not_implemented))),
        ("BADVERS", total(workers, |counters: &WorkerCounters| Some(&counters.bad_versions))),
    ];
    for (reason, count) in reasons {
        family.series(&[("reason", reason)], count as f64);
    }
    family
}

fn limits(counters: &CounterRegistry) -> Family {
    let mut family = Family::counter(
        "nodelocaldns_limit_hits_total",
        "Queries refused by a limit: queries in flight (inflight), clients waiting for one query (waiters), waiting queries of one client (client); and background refreshes postponed (refreshes).",
    );
    let workers = counters.workers();
    let limits = [
        ("inflight", total(workers, |counters: &WorkerCounters| Some(&counters.inflight_full))),
        ("refreshes", total(workers, |counters: &WorkerCounters| Some(&counters.refreshes_full))),
        ("waiters", total(workers, |counters: &WorkerCounters| Some(&counters.waiters_full))),
        ("client", total(workers, |counters: &WorkerCounters| Some(&counters.client_quota_full))),
    ];
    for (limit, count) in limits {
        family.series(&[("limit", limit)], count as f64);
    }
    family
}

fn joined(counters: &CounterRegistry) -> Family {
    let mut family = Family::counter(
        "nodelocaldns_coalesced_queries_total",
        "Queries coalesced with one in flight; each saves an upstream query.",
    );
    for (server, zones, block) in counters.blocks() {
        let count = total(&block.of_workers, |counters: &BlockCounters| Some(&counters.coalesced));
        family.series(&[("server", server), ("zones", zones)], count as f64);
    }
    family
}

fn by_limit(name: &str, help: &str, counts: &ByLimit) -> Family {
    let mut family = Family::counter(name, help);
    for (limit, count) in [("process", &counts.process), ("client", &counts.client)] {
        family.series(&[("limit", limit)], count.get() as f64);
    }
    family
}

fn plain(name: &str, help: &str, count: u64) -> Family {
    let mut family = Family::counter(name, help);
    family.series(&[], count as f64);
    family
}
