//! Client side: rejected packets, limits, coalescing, TCP connections, UDP sockets
//! (`nodelocaldns_*`).

use resolver::counters::WorkerCounters;

use super::blocks::by_block;
use super::family::{Family, total};
use super::process_counters::{ByLimit, ProcessCounters};
use crate::counters::CounterRegistry;

pub(super) fn families(counters: &CounterRegistry, process: &ProcessCounters) -> Vec<Family> {
    let mut families = vec![rejected_packets(counters), limit_hits(counters), coalesced_queries(counters)];
    families.extend(tcp_families(process));
    families.extend(udp_families(process));
    families
}

fn tcp_families(process: &ProcessCounters) -> Vec<Family> {
    let mut open = Family::gauge("nodelocaldns_tcp_connections", "Open TCP connections of clients.");
    open.series(&[], process.connections.open.get() as f64);
    vec![
        open,
        by_limit(
            "nodelocaldns_tcp_connections_refused_total",
            "TCP connections of clients refused because the limit of the process, or of the \
             client, was reached and none was idle.",
            &process.connections.refused,
        ),
        by_limit(
            "nodelocaldns_tcp_connections_evicted_total",
            "Idle TCP connections of clients closed to accept a new one at the limit.",
            &process.connections.evicted,
        ),
        Family::of_count(
            "nodelocaldns_tcp_connections_write_buffer_exceeded_total",
            "TCP connections of clients closed because all together buffered too much: responses that \
             clients had not read, and incomplete queries.",
            process.connections.write_buffer_exceeded.get(),
        ),
        Family::of_count(
            "nodelocaldns_tcp_connections_timed_out_total",
            "TCP connections of clients closed by a timeout: the client was too slow, or idle.",
            process.connections.timed_out.get(),
        ),
        Family::of_count(
            "nodelocaldns_tcp_accept_errors_total",
            "Failed accepts that were followed by a pause, e.g. for lack of descriptors or memory.",
            process.connections.accept_errors.get(),
        ),
    ]
}

fn packet_filter_rejects(process: &ProcessCounters) -> Family {
    let mut family = Family::counter(
        "nodelocaldns_packet_filter_rejects_total",
        "UDP responses and upstream queries that a packet filter of the node rejected (EPERM).",
    );
    let rejects = &process.packet_filter_rejects;
    family.series(&[("peer", "client")], rejects.clients.get() as f64);
    family.series(&[("peer", "upstream")], rejects.upstreams.get() as f64);
    family
}

fn udp_families(process: &ProcessCounters) -> [Family; 3] {
    [
        packet_filter_rejects(process),
        Family::of_count(
            "nodelocaldns_udp_send_errors_total",
            "UDP responses that the kernel did not send.",
            process.udp_send_errors.get(),
        ),
        Family::of_count(
            "nodelocaldns_udp_queue_overflows_total",
            "UDP queries that the kernel dropped because the receive queue of a worker was full.",
            process.udp_queues.overflows(),
        ),
    ]
}

fn rejected_packets(counters: &CounterRegistry) -> Family {
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

fn limit_hits(counters: &CounterRegistry) -> Family {
    let mut family = Family::counter(
        "nodelocaldns_limit_hits_total",
        "Queries refused by a limit: memory of waiting queries (inflight), clients waiting for one query \
         (waiters), one client's share of that memory (client); and background refreshes postponed \
         (refreshes).",
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

fn coalesced_queries(counters: &CounterRegistry) -> Family {
    let family = Family::counter(
        "nodelocaldns_coalesced_queries_total",
        "Queries coalesced with one in flight; each saves an upstream query.",
    );
    by_block(family, counters, |counters| &counters.coalesced)
}

fn by_limit(name: &str, help: &str, counts: &ByLimit) -> Family {
    let mut family = Family::counter(name, help);
    for (limit, count) in [("process", &counts.process), ("client", &counts.client)] {
        family.series(&[("limit", limit)], count.get() as f64);
    }
    family
}
