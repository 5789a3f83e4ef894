//! `rewrite`: other questions for the upstream, the client's in its response.

use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use testkit::client::QueryOptions;
use testkit::{RecordType, ResponseCode};

use super::{asked, both, records, start};
use crate::fixture::upstream;
use crate::responses::{code, data};

#[test]
fn rewritten_names_reach_the_upstream_and_the_client_gets_its_own() {
    let upstream = upstream();
    let rules = "errors
        rewrite name exact www.corp.test ok-exact.example
        rewrite name suffix .hairpin.test .svc.example answer auto
        rewrite name regex ^(.*)[.]pods[.]test[.]$ {1}.regex.example answer name (.*)[.]regex[.]example[.] {1}.pods.test
        rewrite type MX A";
    let daemon = start(rules, &upstream);
    for (name, rtype, expected) in [
        ("www.Corp.test.", RecordType::A, "www.Corp.test. 30 IN A 192.0.2.1"),
        ("ok-1.hairpin.test.", RecordType::A, "ok-1.hairpin.test. 30 IN A 192.0.2.1"),
        ("ok-2.pods.test.", RecordType::A, "ok-2.pods.test. 30 IN A 192.0.2.1"),
        ("ok-3.example.", RecordType::MX, "ok-3.example. 30 IN A 192.0.2.1"),
    ] {
        for response in both(&daemon, name, rtype) {
            let question = &response.message.queries[0];
            assert_eq!((question.name.to_ascii().as_str(), question.query_type()), (name, rtype));
            assert_eq!(records(&response), [expected], "{name}");
        }
    }
    let expected = ["ok-exact.example. A", "ok-1.svc.example. A", "ok-2.regex.example. A", "ok-3.example. A"];
    assert_eq!(asked(&upstream), expected);
}

#[test]
fn responses_and_options_are_rewritten() {
    let upstream = upstream();
    let rules = "errors
        rewrite continue {
            edns0 local set 0xffee 0x61626364
        }
        rewrite ttl exact ok-1.example. 7
        rewrite rcode exact nxdomain-1.example. NXDOMAIN NOERROR";
    let daemon = start(rules, &upstream);
    assert_eq!(records(&daemon.query("ok-1.example.")), ["ok-1.example. 7 IN A 192.0.2.1"]);
    let denied = daemon.query_with("nxdomain-1.example.", &QueryOptions::tcp());
    assert_eq!((code(&denied), data(&denied).len()), (ResponseCode::NoError, 0));
    let option = |query: &testkit::upstream::ReceivedQuery| {
        let code = EdnsCode::from(0xffee);
        match query.message.edns.as_ref()?.option(code)? {
            EdnsOption::Unknown(_, octets) => Some(octets.clone()),
            _ => None,
        }
    };
    let queries = upstream.queries();
    let sent: Vec<Option<Vec<u8>>> =
        queries.iter().filter(|query| query.name.ends_with("example.")).map(option).collect();
    assert!(!sent.is_empty() && sent.iter().all(|octets| octets.as_deref() == Some(b"abcd")), "{sent:?}");
}
