//! The `/metrics` page, from counters incremented as the workers increment them.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a failed assertion ends a test; tests need a start time"
)]

mod cache;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use corefile::{SUPPORTED_DIRECTIVES, handles_queries};
use daemon::counters::{ActiveBlock, CounterRegistry, DROPPED, EnabledPlugin};
use daemon::metrics::{BuildInfo, Exposition, MemoryPart, ProcessCounters, SetupError};
use resolver::cache::Usage;
use resolver::counters::{
    BlockCounters, Plugin, RouteCounters, TemplateEvent, TemplateEventKind, rcode_index, type_index,
};
use resolver::policy::{
    AclAction, Block, BlockId, Forward, ForwardOptions, PoolOptions, Upstream, UpstreamId,
};
use wire::header::{Rcode, RecordType};
use wire::name::Name;

const SERVER: &str = "dns://169.254.25.10:53";

struct Page {
    counters: Arc<Mutex<CounterRegistry>>,
    process: Arc<ProcessCounters>,
    exposition: Exposition,
}

impl Page {
    fn new() -> Self {
        let build = BuildInfo {
            version: "0.1.0".to_owned(),
            revision: "abc".to_owned(),
            compiler: "rustc 1.95.0".to_owned(),
        };
        let counters = Arc::new(Mutex::new(CounterRegistry::new()));
        let process = Arc::new(ProcessCounters::default());
        let exposition = Exposition::new(Arc::clone(&counters), Arc::clone(&process), build).unwrap();
        Self { counters, process, exposition }
    }

    /// The page without the `process_*` families, which differ from machine to machine.
    fn text(&self) -> String {
        without_process_metrics(&self.exposition.render().unwrap())
    }

    fn series(&self, name: &str) -> Vec<String> {
        let page = self.text();
        page.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
    }
}

fn without_process_metrics(page: &str) -> String {
    let of_process = |line: &&str| line.split(' ').any(|word| word.starts_with("process_"));
    page.lines().filter(|line| !of_process(line)).map(|line| format!("{line}\n")).collect()
}

/// Counts a query for `zone` and its response as a worker does.
fn one_query(counters: &mut CounterRegistry, zone: &str, worker: usize) {
    let (_, route) = counters.route(SERVER, zone, worker);
    route.requests[0][0][type_index(RecordType::A)].add(1);
    route.request_sizes[0].observe(45);
    route.response_sizes[0].observe(90);
    route.durations.observe(Duration::from_micros(300));
    route.responses[Plugin::Cache as usize][rcode_index(Rcode::NOERROR)].add(1);
}

/// Counts events of two workers, a listener with two zones, and one upstream.
fn count_events(counters: &mut CounterRegistry) {
    one_query(counters, "cluster.local.", 0);
    one_query(counters, "cluster.local.", 1);
    let (_, root) = counters.route(SERVER, ".", 0);
    root.requests[1][1][type_index(RecordType(65_280))].add(2);
    root.do_requests.add(2);
    root.request_sizes[1].observe(512);
    root.response_sizes[1].observe(0);
    root.durations.observe(Duration::from_secs(9));
    count_responses(&root);
    let (_, dropped) = counters.route(SERVER, DROPPED, 1);
    dropped.requests[0][0][type_index(RecordType::ANY)].add(1);
    dropped.responses[Plugin::Server as usize][rcode_index(Rcode::REFUSED)].add(1);

    let usage = Arc::new(Usage::default());
    for worker in 0..2 {
        let block = counters.block(SERVER, "cluster.local.", &usage, worker);
        block.cache_requests.add(3);
        block.cache_success_hits.add(1);
        block.cache_denial_hits.add(1);
        block.cache_misses.add(1);
        block.coalesced.add(59);
        block.max_concurrent_rejects.add(1);
        block.healthcheck_broken.add(2);
        count_directives(&block);
    }
    let root = counters.block(SERVER, ".", &Arc::default(), 0);
    root.cache_drops.add(1);
    root.prefetches.add(2);
    root.served_stale.add(3);
    root.outage_stale.add(4);
    root.cache_oversized.add(3);
    root.nxdomain_cuts_removed.add(1);

    let upstream = counters.upstream(SocketAddr::from(([10, 233, 0, 3], 53)), 0);
    upstream.request_durations[rcode_index(Rcode::NXDOMAIN)].observe(Duration::from_millis(2));
    upstream.request_durations[rcode_index(Rcode(13))].observe(Duration::from_millis(1));
    upstream.connection_misses[1].add(1);
    upstream.connection_hits[1].add(7);
    upstream.retried.add(1);
    upstream.queued.add(9);
    upstream.queue_full.add(10);
    upstream.dedicated_connections.add(11);
    upstream.dedicated_connections_full.add(12);
    upstream.suspect_connections.add(13);
    upstream.mismatched_attempts.add(2);
    upstream.retransmissions.add(7);
    upstream.probes.add(8);
    upstream.hedged.add(3);
    upstream.hedges_throttled.add(4);
    upstream.edns_fallbacks.add(5);
    upstream.healthcheck_failures.add(6);
    counters.worker(0).dropped.add(4);
    counters.worker(1).dropped.add(1);
    counters.worker(1).inflight_full.add(2);
    let active = active_block(counters, ".");
    counters.set_active_blocks(vec![active]);
    let handlers = SUPPORTED_DIRECTIVES.into_iter().filter(|name| handles_queries(name));
    counters.set_enabled_plugins(handlers.map(enabled).collect());
    counters.set_hosts_entries([("/etc/hosts".to_owned(), 6)].into());
}

/// Counts responses of every plugin.
fn count_responses(root: &RouteCounters) {
    root.responses[Plugin::Forward as usize][rcode_index(Rcode(12))].add(1);
    root.responses[Plugin::Server as usize][rcode_index(Rcode(4095))].add(1);
    root.responses[Plugin::Hosts as usize][rcode_index(Rcode::NOERROR)].add(2);
    root.responses[Plugin::Whoami as usize][rcode_index(Rcode::NOERROR)].add(3);
    root.responses[Plugin::Template as usize][rcode_index(Rcode::NXDOMAIN)].add(2);
    root.responses[Plugin::Any as usize][rcode_index(Rcode::NOERROR)].add(4);
    root.responses[Plugin::Local as usize][rcode_index(Rcode::NXDOMAIN)].add(5);
    root.responses[Plugin::Chaos as usize][rcode_index(Rcode::NOERROR)].add(6);
    root.responses[Plugin::Acl as usize][rcode_index(Rcode::REFUSED)].add(7);
    root.responses[Plugin::Dns64 as usize][rcode_index(Rcode::NOERROR)].add(8);
    root.responses[Plugin::LoadBalance as usize][rcode_index(Rcode::NOERROR)].add(9);
    root.responses[Plugin::Rewrite as usize][rcode_index(Rcode::SERVFAIL)].add(10);
    root.responses[Plugin::Header as usize][rcode_index(Rcode::NOERROR)].add(11);
    root.responses[Plugin::Minimal as usize][rcode_index(Rcode::NOERROR)].add(12);
}

/// Counts two queries that a template matched, both of which it failed, and queries that `acl` allowed
/// and those that it did not.
fn count_directives(block: &BlockCounters) {
    block.nxdomain_cut_hits.add(6);
    block.nxdomain_cut_queries.add(3);
    block.nxdomain_cuts_learned.add(2);
    block.nxdomain_cuts_renewed.add(1);
    block.translated.add(3);
    block.localhost_requests.add(2);
    block.acl.count(None);
    let [root, corp] = [".", "corp.test."].map(|zone| Name::parse(zone).unwrap());
    for (action, zone) in [
        (AclAction::Allow, &root),
        (AclAction::Block, &root),
        (AclAction::Block, &corp),
        (AclAction::Block, &corp),
        (AclAction::Filter, &root),
        (AclAction::Drop, &corp),
    ] {
        block.acl.count(Some((action, zone)));
    }
    let template = "{{ index .Match 2 }}".to_owned();
    for kind in [
        TemplateEventKind::Match,
        TemplateEventKind::Match,
        TemplateEventKind::TemplateFailure("answer", template.clone()),
        TemplateEventKind::RecordFailure("additional", template),
    ] {
        let [zone, class, qtype] = ["example.", "IN", "AAAA"].map(str::to_owned);
        block.templates.count(TemplateEvent { zone, class, qtype, kind });
    }
}

/// A block whose `forward` lists an upstream twice.
fn active_block(counters: &mut CounterRegistry, zones: &str) -> ActiveBlock {
    let addr = SocketAddr::from(([10, 233, 0, 3], 53));
    let upstream = Upstream {
        id: UpstreamId(0),
        addr,
        encrypted: false,
        counters: counters.upstream(addr, 0),
        pool: PoolOptions::default(),
        state: Arc::default(),
    };
    let usage = Arc::default();
    let block = Block {
        id: BlockId(0),
        last_directive: Some("forward"),
        udp_size: 1232,
        dns64: None,
        cache: None,
        front: Vec::new(),
        nsid: None,
        load_balance: None,
        rewrites: Arc::new([]),
        message_changes: resolver::policy::MessageChanges::default(),
        plugins: Vec::new(),
        forwards: vec![Forward {
            options: ForwardOptions::new(Name::parse(".").unwrap()),
            upstreams: vec![upstream.clone(), upstream],
            state: Arc::default(),
        }],
        counters: counters.block(SERVER, zones, &usage, 0),
        usage,
    };
    ActiveBlock { server: SERVER.to_owned(), zones: zones.to_owned(), block: Arc::new(block) }
}

fn enabled(name: &str) -> EnabledPlugin {
    EnabledPlugin { server: SERVER.to_owned(), zone: ".".to_owned(), name: name.to_owned() }
}

#[test]
fn the_page_equals_page_prom() {
    let page = Page::new();
    count_events(&mut page.counters.lock().unwrap());
    page.process.health_requests.observe(Duration::from_millis(1));
    page.process.hosts_modified.set(1_795_000_000_500_000_000);
    page.process.setup_error(SetupError::InterfaceAdd);
    page.process.reloads.failed.inc();
    page.process.reloads.attempted("c0ffee");
    page.process.connections.open.inc();
    page.process.repairs.inc();
    page.process.netlink_overruns.add(2);
    page.process.snapshots.written.add(7);
    let waiting = MemoryPart { name: "waiting", limit: 1 << 20, used: Box::new(|| 2625) };
    page.process.memory.set(vec![waiting]);
    page.process.snapshots.failed.inc();
    page.process.imported.predecessor.add(9000);
    page.process.imported.snapshot.add(800);
    page.process.omitted.successor.add(50);
    page.process.omitted.snapshot.add(60);

    let expected = include_str!("page.prom");
    let shown = page.text();
    for (number, (shown, expected)) in shown.lines().zip(expected.lines()).enumerate() {
        assert_eq!(shown, expected, "line {}", number + 1);
    }
    assert_eq!(shown.lines().count(), expected.lines().count());
}

#[test]
fn unused_series_are_omitted() {
    let page = Page::new();
    {
        let mut counters = page.counters.lock().unwrap();
        counters.route(SERVER, ".", 0);
        counters.block(SERVER, ".", &Arc::default(), 0);
        counters.upstream(SocketAddr::from(([10, 233, 0, 3], 53)), 0);
    }
    let families: BTreeSet<String> = page
        .text()
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE coredns_")?.split(' ').next().map(str::to_owned))
        .collect();
    let expected = [
        "build_info",
        "forward_healthcheck_broken_total",
        "forward_max_concurrent_rejects_total",
        "health_request_duration_seconds",
        "health_request_failures_total",
        "hosts_reload_timestamp_seconds",
        "nodecache_setup_errors_total",
        "panics_total",
        "reload_failed_total",
    ];
    assert_eq!(families, expected.map(str::to_owned).into());
}

#[test]
fn a_reload_keeps_counters_and_replaces_the_enabled_plugins() {
    let page = Page::new();
    count_events(&mut page.counters.lock().unwrap());
    let counted = page.series("coredns_dns_requests_total");
    {
        let mut counters = page.counters.lock().unwrap();
        counters.route(SERVER, "example.org.", 0);
        counters.set_enabled_plugins(vec![enabled("log")]);
    }
    assert_eq!(page.series("coredns_dns_requests_total"), counted);
    let rows = page.series("coredns_plugin_enabled");
    assert_eq!(
        rows,
        [format!(r#"coredns_plugin_enabled{{name="log",server="{SERVER}",view="",zone="."}} 1"#)]
    );
}

#[test]
fn label_values_are_escaped() {
    let page = Page::new();
    let zone = "a\"b\\c\nd.";
    one_query(&mut page.counters.lock().unwrap(), zone, 0);
    let expected = format!(
        r#"coredns_dns_requests_total{{family="1",proto="udp",server="{SERVER}",type="A",view="",zone="a\"b\\c\nd."}} 1"#
    );
    assert_eq!(page.series("coredns_dns_requests_total"), [expected]);
    for line in page.text().lines() {
        assert!(is_sample_or_comment(line), "{line}");
    }
}

/// `name{label="value",...} number`, as in the text format.
fn is_sample_or_comment(line: &str) -> bool {
    if line.starts_with("# HELP ") || line.starts_with("# TYPE ") {
        return true;
    }
    let Some((series, value)) = line.rsplit_once(' ') else { return false };
    let (name, labels) = match series.split_once('{') {
        Some((name, rest)) => (name, rest.strip_suffix('}')),
        None => (series, Some("")),
    };
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
    let Some(mut labels) = labels else { return false };
    while !labels.is_empty() {
        let Some((label, rest)) = labels.split_once("=\"") else { return false };
        let Some(end) = closing_quote(rest) else { return false };
        if !is_word(label) {
            return false;
        }
        labels = &rest[end + 1..];
        labels = labels.strip_prefix(',').unwrap_or(labels);
    }
    is_word(name) && value.parse::<f64>().is_ok()
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(at)
    })
}

#[test]
fn the_process_metrics_endpoint_counts_its_scrapes() {
    let page = Page::new();
    let scrape = || {
        let text = page.exposition.render_with_scrapes().unwrap();
        let rows = text.lines().filter(|line| line.starts_with("promhttp_"));
        rows.map(str::to_owned).collect::<Vec<_>>()
    };
    let rows = |answered| {
        [
            "promhttp_metric_handler_requests_in_flight 1".to_owned(),
            format!(r#"promhttp_metric_handler_requests_total{{code="200"}} {answered}"#),
            r#"promhttp_metric_handler_requests_total{code="500"} 0"#.to_owned(),
            r#"promhttp_metric_handler_requests_total{code="503"} 0"#.to_owned(),
        ]
    };
    assert_eq!(scrape(), rows(0));
    assert_eq!(scrape(), rows(1));
    assert!(!page.exposition.render().unwrap().contains("promhttp_"));
}
