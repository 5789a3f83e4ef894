//! The process and its node: what CoreDNS and node-cache tell of themselves, and what only we have to tell.

use resolver::counters::{BlockCounters, WorkerCounters};

use super::Build;
use super::family::{Distribution, Family, total};
use super::process_counters::{ByLimit, PROBE_BOUNDS, ProcessCounters};
use crate::counters::CounterRegistry;

/// Under names of CoreDNS and node-cache.
pub(super) fn families(counters: &CounterRegistry, process: &ProcessCounters, build: &Build) -> Vec<Family> {
    let panics = total(counters.workers(), |counters: &WorkerCounters| Some(&counters.panics));
    let mut families = vec![
        build_info(build),
        enabled(counters),
        plain("coredns_panics_total", "Panics caught while a packet was worked on.", panics),
        plain(
            "coredns_health_request_failures_total",
            "Probes of our own health endpoint that failed.",
            process.health_failures.get(),
        ),
        plain(
            "coredns_reload_failed_total",
            "Reloads that failed and left the running configuration in force.",
            process.reloads.failed.get(),
        ),
        setup_errors(process),
        reload_version(process),
    ];
    let mut probes = Family::histogram(
        "coredns_health_request_duration_seconds",
        "Time our own health endpoint took to answer a probe.",
    );
    probes.distribution(
        &[],
        &Distribution {
            bounds: &PROBE_BOUNDS,
            places: process.health_probes.places(),
            sum: process.health_probes.nanos() as f64 / 1e9,
        },
    );
    families.push(probes);
    families
}

fn build_info(build: &Build) -> Family {
    let mut family = Family::gauge(
        "coredns_build_info",
        "What this process was built from; goversion names the compiler, under the label dashboards know.",
    );
    let labels =
        [("version", &*build.version), ("revision", &*build.revision), ("goversion", &*build.compiler)];
    family.series(&labels, 1.0);
    family
}

fn enabled(counters: &CounterRegistry) -> Family {
    let mut family =
        Family::gauge("coredns_plugin_enabled", "Directives that handle queries, by listener and block.");
    for row in counters.enabled_plugins() {
        let labels = [("server", &*row.server), ("zone", &*row.zone), ("view", ""), ("name", &*row.name)];
        family.series(&labels, 1.0);
    }
    family
}

fn setup_errors(process: &ProcessCounters) -> Family {
    let mut family = Family::counter(
        "coredns_nodecache_setup_errors_total",
        "Failures to set up the node: packet filter, link, addresses, configuration.",
    );
    for (kind, count) in process.setup_errors() {
        family.series(&[("errortype", kind)], count as f64);
    }
    family
}

fn reload_version(process: &ProcessCounters) -> Family {
    let mut family = Family::gauge(
        "coredns_reload_version_info",
        "Checksum of the configuration in force after a reload.",
    );
    if let Some(version) = process.reloads.version() {
        family.series(&[("hash", "sha512"), ("value", &version)], 1.0);
    }
    family
}

/// Under names of our own.
pub(super) fn own_families(counters: &CounterRegistry, process: &ProcessCounters) -> Vec<Family> {
    let late = total(counters.workers(), |counters: &WorkerCounters| Some(&counters.late_answers));
    let mut families = vec![
        rejected(counters),
        limits(counters),
        joined(counters),
        plain(
            "nodelocaldns_late_answers_total",
            "Answers of upstreams that no client waited for any more; they fill the cache.",
            late,
        ),
    ];
    families.extend(super::upstreams::own_families(counters));
    families.extend(of_process(process));
    families.extend(successions(process));
    families
}

fn of_process(process: &ProcessCounters) -> Vec<Family> {
    let mut open = Family::gauge("nodelocaldns_tcp_connections", "TCP connections of clients that are open.");
    open.series(&[], process.connections.open.get() as f64);
    vec![
        open,
        by_limit(
            "nodelocaldns_tcp_connections_refused_total",
            "TCP connections of clients turned away because the process, or the client, had too many and none was idle.",
            &process.connections.refused,
        ),
        by_limit(
            "nodelocaldns_tcp_connections_evicted_total",
            "TCP connections of clients closed while idle to make room for a newcomer.",
            &process.connections.evicted,
        ),
        plain(
            "nodelocaldns_tcp_connections_unread_total",
            "TCP connections of clients closed because clients together left too much unread.",
            process.connections.unread.get(),
        ),
        plain(
            "nodelocaldns_tcp_accept_errors_total",
            "Times that no TCP connection could be accepted for lack of descriptors or memory.",
            process.connections.accept_errors.get(),
        ),
        plain(
            "nodelocaldns_tcp_connections_timed_out_total",
            "TCP connections of clients closed because the client was too slow or had nothing to ask.",
            process.connections.timed_out.get(),
        ),
        plain(
            "nodelocaldns_udp_send_errors_total",
            "Answers by UDP that the kernel would not take.",
            process.udp_send_errors.get(),
        ),
        plain(
            "nodelocaldns_udp_queue_overflows_total",
            "Queries by UDP that the kernel dropped because a worker was too busy to read them.",
            process.udp_queue_overflows.get(),
        ),
        plain(
            "nodelocaldns_node_repairs_total",
            "Links, addresses and rules of ours that were gone and that we put back.",
            process.repairs.get(),
        ),
        handovers(process),
        plain(
            "nodelocaldns_log_lines_dropped_total",
            "Log lines dropped because whoever reads our output was too slow.",
            process.lost_lines.get(),
        ),
    ]
}

fn handovers(process: &ProcessCounters) -> Family {
    let mut family = Family::counter(
        "nodelocaldns_handovers_total",
        "Hand-overs of the node: taken from an instance before, given to one after, resumed when that one ended or left, refused by one that does not hand over.",
    );
    let counts = &process.handovers;
    for (event, count) in [
        ("taken", &counts.taken),
        ("given", &counts.given),
        ("resumed", &counts.resumed),
        ("refused", &counts.refused),
    ] {
        family.series(&[("event", event)], count.get() as f64);
    }
    family
}

fn successions(process: &ProcessCounters) -> [Family; 3] {
    let mut inherited = Family::counter(
        "nodelocaldns_cache_inherited_entries_total",
        "Cache entries that came from the process before this one, by its own hand (predecessor) or by a snapshot.",
    );
    let from = &process.inherited;
    for (from, count) in [("predecessor", &from.predecessor), ("snapshot", &from.snapshot)] {
        inherited.series(&[("from", from)], count.get() as f64);
    }
    let written = plain(
        "nodelocaldns_snapshots_written_total",
        "Snapshots of the cache written for a process that starts after a crash.",
        process.snapshots.written.get(),
    );
    let failed = plain(
        "nodelocaldns_snapshot_errors_total",
        "Snapshots of the cache that could not be written.",
        process.snapshots.failed.get(),
    );
    [inherited, written, failed]
}

fn rejected(counters: &CounterRegistry) -> Family {
    let mut family = Family::counter(
        "nodelocaldns_rejected_packets_total",
        "Packets that were no query we act on, by what their sender got: nothing (silence) or a response code.",
    );
    let workers = counters.workers();
    let reasons = [
        ("silence", total(workers, |counters: &WorkerCounters| Some(&counters.silenced))),
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
        "Queries refused by a limit: of open questions (flights), of clients waiting for one question (waiters), of questions one client has waiting (client); and refreshes put off by one (refreshes).",
    );
    let workers = counters.workers();
    let limits = [
        ("flights", total(workers, |counters: &WorkerCounters| Some(&counters.flights_full))),
        ("refreshes", total(workers, |counters: &WorkerCounters| Some(&counters.refreshes_full))),
        ("waiters", total(workers, |counters: &WorkerCounters| Some(&counters.waiters_full))),
        ("client", total(workers, |counters: &WorkerCounters| Some(&counters.clients_full))),
    ];
    for (limit, count) in limits {
        family.series(&[("limit", limit)], count as f64);
    }
    family
}

fn joined(counters: &CounterRegistry) -> Family {
    let mut family = Family::counter(
        "nodelocaldns_joined_queries_total",
        "Queries that joined a question already asked, each an upstream query saved.",
    );
    for (server, zones, block) in counters.blocks() {
        let count = total(&block.of_workers, |counters: &BlockCounters| Some(&counters.joined));
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
