//! Directives in front of the cache: `local`, `any`, `chaos`, and `nsid`.

use hickory_proto::rr::DNSClass;
use testkit::client::{QueryOptions, Response};
use testkit::upstream::Transport;
use testkit::{RecordType, ResponseCode};

use super::{asked, both, records, start};
use crate::fixture::{DNS, DaemonProcess, upstream};
use crate::responses::code;

/// The response to a TXT query of class CH.
fn chaos(daemon: &DaemonProcess, name: &str, transport: Transport) -> Response {
    let mut query = QueryOptions::default().message(7, name, RecordType::TXT).unwrap();
    query.queries[0].set_query_class(DNSClass::CH);
    daemon.client().exchange(&query, transport).unwrap()
}

#[test]
fn local_and_chaos_answer_about_the_node() {
    let upstream = upstream();
    let daemon = start("errors\nlocal\nchaos v1.2 bob alice\nacl {\n block net 127.0.0.1\n}", &upstream);
    for (name, rtype, expected) in [
        ("localhost.", RecordType::A, "localhost. 604800 IN A 127.0.0.1"),
        ("Localhost.corp.test.", RecordType::AAAA, "Localhost.corp.test. 604800 IN AAAA ::1"),
        ("1.0.0.127.in-addr.arpa.", RecordType::PTR, "1.0.0.127.in-addr.arpa. 604800 IN PTR localhost."),
    ] {
        for response in both(&daemon, name, rtype) {
            assert_eq!(records(&response), [expected]);
            assert!(!response.message.metadata.authoritative);
        }
    }
    for response in both(&daemon, "2.0.0.127.in-addr.arpa.", RecordType::PTR) {
        assert_eq!(code(&response), ResponseCode::NXDomain);
    }
    assert_eq!(daemon.metric("coredns_local_localhost_requests_total"), 2);
    let refused = chaos(&daemon, "version.bind.", Transport::Udp);
    assert_eq!(code(&refused), ResponseCode::Refused, "acl is in front of chaos");
    assert_eq!(asked(&upstream), [""; 0]);
}

#[test]
fn chaos_says_version_authors_and_name_of_the_node() {
    let upstream = upstream();
    let daemon = start("errors\nchaos v1.2 bob alice\nany", &upstream);
    let host_name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let texts = |name: &str, texts: &[&str]| -> Vec<String> {
        texts.iter().map(|text| format!("{name} 0 CH TXT {text}")).collect()
    };
    for transport in [Transport::Udp, Transport::Tcp] {
        for (name, expected) in [
            ("version.bind.", vec!["v1.2"]),
            ("Version.server.", vec!["v1.2"]),
            ("authors.bind.", vec!["alice", "bob"]),
            ("hostname.bind.", vec![host_name.trim()]),
            ("id.server.", vec![host_name.trim()]),
        ] {
            let response = chaos(&daemon, name, transport);
            assert_eq!(records(&response), texts(name, &expected));
        }
    }
    for response in both(&daemon, "www.example.", RecordType::ANY) {
        assert_eq!(records(&response), ["www.example. 8482 IN HINFO ANY obsoleted See RFC 8482"]);
    }
    assert_eq!(asked(&upstream), [""; 0]);
    let by_plugin =
        |plugin: &str| daemon.metric(&format!("coredns_dns_responses_total{{plugin=\"{plugin}\"}}"));
    assert_eq!([by_plugin("chaos"), by_plugin("any")], [10, 2]);
}

#[test]
fn every_directive_that_handles_queries_is_an_enabled_plugin() {
    let upstream = upstream();
    let lines = "errors\nmetadata\nnsid\nbufsize\ntrace\nlog\ndnstap /run/dnstap.sock\nlocal\ndns64\nacl\nany\n\
                 chaos\nloadbalance\nrewrite name exact a.test b.test\nheader {\n query set rd\n}\nminimal\n\
                 template IN MX a.test {\n rcode NXDOMAIN\n}\nhosts {\n fallthrough\n}\nloop\nwhoami\n\
                 debug\npprof\nreload\ntimeouts {\n read 3s\n}";
    let daemon = start(lines, &upstream);
    let server = format!("server=\"dns://{}:{DNS}\",view=\"\",zone=\".\"", daemon.ip);
    let page = daemon.metrics_page();
    let mut shown: Vec<&str> =
        page.lines().filter(|line| line.starts_with("coredns_plugin_enabled{")).collect();
    shown.sort_unstable();
    let handlers = corefile::SUPPORTED_DIRECTIVES.into_iter().filter(|name| corefile::handles_queries(name));
    let row = |name: &str| format!("coredns_plugin_enabled{{name=\"{name}\",{server}}} 1");
    let mut expected: Vec<String> = handlers.map(row).collect();
    expected.sort_unstable();
    assert_eq!(shown, expected);
    assert_eq!(shown.len(), 23);
}
