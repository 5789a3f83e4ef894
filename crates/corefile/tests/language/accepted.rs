//! `debug` and `metadata`, and directives that are accepted without effect: `pprof`, `trace`, `dnstap`.

use corefile::handles_queries;

use super::assertions::{assert_all_load, assert_all_rejected};
use super::load::{COREFILE, load, load_lines};

/// What `lines` warn about.
fn warnings(lines: &str) -> Vec<String> {
    load_lines(lines).unwrap().warnings
}

#[test]
fn debug_in_any_block_is_for_the_process() {
    assert!(!load_lines("errors").unwrap().debug);
    for lines in ["debug", "debug\ndebug"] {
        assert!(load_lines(lines).unwrap().debug, "{lines}");
    }
    let settings = load("a.test {\n debug\n}\n. {\n errors\n}\n").unwrap();
    assert!(settings.debug && settings.warnings.is_empty());
    assert_all_rejected(
        "debug",
        &[("debug on", "unexpected line ending after 'on'"), ("debug {\n all\n}", "after 'all'")],
    );
}

#[test]
fn metadata_loads_without_a_warning() {
    for lines in ["metadata", "metadata example. 10.0.0.0/8", "metadata {\n}"] {
        assert!(warnings(lines).is_empty(), "{lines}");
    }
    assert_all_rejected(
        "metadata",
        &[
            ("metadata {\n label\n}", "unexpected line ending after 'label'"),
            ("metadata\nmetadata a.test", "this plugin can only be used once per Server Block"),
        ],
    );
}

#[test]
fn pprof_trace_and_dnstap_load_with_a_warning() {
    for (directive, reason) in [
        ("pprof", "there are no profiles of a Go runtime"),
        ("trace", "queries are not traced"),
        ("dnstap /run/dnstap.sock", "messages are not copied to a socket"),
    ] {
        let name = directive.split(' ').next().unwrap();
        let warning = format!("{COREFILE}:2 - {name} has no effect: {reason}");
        assert_eq!(warnings(directive), [warning], "{directive}");
    }
    assert_eq!(warnings("trace\ntrace").len(), 2, "one for each line");
}

#[test]
fn pprof_has_an_address_and_a_block_rate() {
    assert_all_load(&[
        "pprof :6060",
        "pprof localhost:6053",
        "pprof node.example:6053",
        "pprof [::1]:6053 {\n block\n}",
        "pprof {\n block 10\n}",
    ]);
    assert_all_rejected(
        "pprof",
        &[
            ("pprof 6060", "address 6060: missing port in address"),
            ("pprof :1 :2", "unexpected line ending after ':2'"),
            ("pprof {\n block 1 2\n}", "unexpected line ending after '2'"),
            ("pprof {\n block often\n}", "'often' is not a whole number"),
            ("pprof {\n mutex\n}", "unknown property 'mutex'"),
            ("pprof\npprof :1", "this plugin can only be used once per Server Block"),
        ],
    );
}

#[test]
fn trace_has_an_endpoint_and_options() {
    assert_all_load(&[
        "trace localhost:9411",
        "trace zipkin http://tracing.example:9411/api/v2/spans",
        "trace DataDog localhost:8126 {\n datadog_analytics_rate 0.5\n}",
        "trace {\n every 100\n service dns\n client_server\n}",
        "trace {\n client_server false\n zipkin_max_backlog_size 100\n zipkin_max_batch_size\n}",
        "trace {\n zipkin_max_batch_interval 2s\n}",
        "trace {\n unknown option\n}",
    ]);
    assert_all_rejected(
        "trace",
        &[
            ("trace jaeger localhost:1", "tracing endpoint type 'jaeger' is not supported"),
            ("trace zipkin localhost:1 more", "unexpected line ending after 'more'"),
            ("trace {\n every\n}", "unexpected line ending after 'every'"),
            ("trace {\n every -1\n}", "'-1' is not a whole number"),
            ("trace {\n service\n}", "unexpected line ending after 'service'"),
            ("trace {\n client_server maybe\n}", "'maybe' is neither true nor false"),
            ("trace {\n datadog_analytics_rate 1.5\n}", "'1.5' is not a rate from 0 to 1"),
            ("trace {\n zipkin_max_batch_size few\n}", "'few' is not a whole number"),
            ("trace {\n zipkin_max_batch_size 1 2\n}", "unexpected line ending after '2'"),
        ],
    );
}

#[test]
fn dnstap_has_a_socket_and_options() {
    assert_all_load(&[
        "dnstap /run/dnstap.sock full",
        "dnstap tcp://192.0.2.1:6000 full\ndnstap unix:///run/other.sock",
        "dnstap tls://192.0.2.1:6000 {\n skipverify\n identity node\n version 1\n extra {/label}\n}",
        "dnstap /run/dnstap.sock {\n message_types CLIENT_QUERY CLIENT_RESPONSE\n}",
    ]);
    assert_all_rejected(
        "dnstap",
        &[
            ("dnstap", "unexpected line ending after 'dnstap'"),
            ("dnstap /run/dnstap.sock {\n identity\n}", "unexpected line ending after 'identity'"),
            ("dnstap /run/dnstap.sock {\n message_types\n}", "after 'message_types'"),
        ],
    );
}

#[test]
fn handlers_of_the_chain_are_enabled_plugins() {
    let directives =
        load_lines("trace\npprof\nmetadata\ndebug\ndnstap /s\n").unwrap().blocks.remove(0).directives;
    assert_eq!(directives, ["metadata", "trace", "dnstap", "debug", "pprof"]);
    let handlers: Vec<&str> = directives.into_iter().filter(|name| handles_queries(name)).collect();
    assert_eq!(handlers, ["metadata", "trace", "dnstap"]);
}
