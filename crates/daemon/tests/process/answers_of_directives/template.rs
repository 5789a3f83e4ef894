//! `template`: records written with the words of the query.

use testkit::client::QueryOptions;
use testkit::{RecordType, ResponseCode};

use super::{asked, both, records, start};
use crate::fixture::{DNS, upstream};
use crate::responses::code;

const TEMPLATES: &str = r#"errors
template IN A wild.test {
    match ^(?P<last>[0-9]+)[.]wild[.]test[.]$
    answer "{{ .Name }} 60 IN A 192.0.2.{{ .Group.last }}"
    additional "ns.{{ .Zone }} 60 IN A 192.0.2.254"
    fallthrough
}
template IN A alias.test {
    answer "{{ .Name }} 60 IN CNAME ok-alias.example."
}
template ANY ANY sink.test {
    rcode NXDOMAIN
    authority "{{ .Zone }} 60 IN SOA ns.{{ .Zone }} host.{{ .Zone }} 1 60 60 60 60"
}
template IN AAAA {
    rcode NOERROR
}"#;

#[test]
fn templates_answer_with_words_of_the_query() {
    let upstream = upstream();
    let daemon = start(TEMPLATES, &upstream);
    for response in both(&daemon, "7.Wild.test.", RecordType::A) {
        // `cache 30` has the TTL lowered.
        assert_eq!(records(&response), ["7.wild.test. 30 IN A 192.0.2.7"]);
        let additional: Vec<String> = response.message.additionals.iter().map(ToString::to_string).collect();
        assert_eq!(additional, ["ns.wild.test. 30 IN A 192.0.2.254"]);
        assert!(response.message.metadata.authoritative);
    }
    for response in both(&daemon, "a.sink.test.", RecordType::TXT) {
        assert_eq!(code(&response), ResponseCode::NXDomain);
        let authority: Vec<String> = response.message.authorities.iter().map(ToString::to_string).collect();
        assert_eq!(authority, ["sink.test. 30 IN SOA ns.sink.test. host.sink.test. 1 60 60 60 60"]);
    }
    for response in both(&daemon, "ok-1.example.", RecordType::AAAA) {
        assert_eq!((code(&response), records(&response).len()), (ResponseCode::NoError, 0));
    }
    assert_eq!(asked(&upstream), [""; 0]);
    let of_zone = |zone: &str| {
        let labels = format!("server=\"dns://{}:{DNS}\",zone=\"{zone}\"", daemon.ip);
        daemon.metric(&format!("coredns_template_matches_total{{{labels}}}"))
    };
    assert_eq!([of_zone("wild.test."), of_zone("sink.test."), of_zone(".")], [1; 3], "the rest are hits");
}

#[test]
fn names_without_a_template_are_forwarded_and_aliases_looked_up() {
    let upstream = upstream();
    let daemon = start(TEMPLATES, &upstream);
    for response in both(&daemon, "ok-1.wild.test.", RecordType::A) {
        assert_eq!(records(&response), ["ok-1.wild.test. 30 IN A 192.0.2.1"]);
    }
    let alias = daemon.query_with("www.alias.test.", &QueryOptions::tcp());
    let expected = ["www.alias.test. 30 IN CNAME ok-alias.example.", "ok-alias.example. 30 IN A 192.0.2.1"];
    assert_eq!(records(&alias), expected);
    assert_eq!(asked(&upstream), ["ok-1.wild.test. A", "ok-alias.example. A"]);
}
