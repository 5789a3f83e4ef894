//! `dns64`: AAAA records made of A records.

use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{Name, RData, Record};
use testkit::client::{Client, QueryOptions};
use testkit::upstream::{LabelScript, Script, ScriptStep, ServerOptions, Transport, Upstream};
use testkit::{Message, RecordType, ResponseCode};

use super::{asked, both, records, start};
use crate::fixture::{DaemonProcess, READY, has_ipv6, loopback, unique_port};
use crate::responses::code;

/// `ipv4` has an address 192.0.2.33 and no other record; other names as in [`LabelScript`].
struct Ipv4Only;

impl Script for Ipv4Only {
    fn steps(&self, query: &Message, transport: Transport) -> Vec<ScriptStep> {
        let question = &query.queries[0];
        if !question.name.to_ascii().to_lowercase().starts_with("ipv4") {
            return LabelScript::default().steps(query, transport);
        }
        let mut reply = Message::response(query.metadata.id, query.metadata.op_code);
        reply.queries.clone_from(&query.queries);
        match question.query_type() {
            RecordType::A => {
                let address = RData::from(Ipv4Addr::new(192, 0, 2, 33));
                reply.answers.push(Record::from_rdata(question.name.clone(), 300, address));
            }
            _ => {
                let zone = Name::from_ascii("example.").unwrap();
                let soa = SOA::new(zone.clone(), zone.clone(), 1, 60, 60, 60, 20);
                reply.authorities.push(Record::from_rdata(zone, 20, RData::SOA(soa)));
            }
        }
        vec![ScriptStep::Send(reply.to_vec().unwrap())]
    }
}

fn ipv4_only() -> Upstream {
    Upstream::start_with(loopback(), ServerOptions::default(), Ipv4Only).unwrap()
}

#[test]
fn aaaa_records_are_made_of_a_records() {
    let upstream = ipv4_only();
    let daemon = start("errors\ndns64 2001:db8:64::/96 {\n allow_ipv4\n}", &upstream);
    for response in both(&daemon, "IPv4.example.", RecordType::AAAA) {
        assert_eq!(records(&response), ["IPv4.example. 20 IN AAAA 2001:db8:64::c000:221"]);
    }
    for response in both(&daemon, "ok-1.example.", RecordType::AAAA) {
        assert_eq!(records(&response), ["ok-1.example. 30 IN AAAA 2001:db8::1"], "it has one");
    }
    for response in both(&daemon, "nxdomain-1.example.", RecordType::AAAA) {
        assert_eq!(code(&response), ResponseCode::NXDomain);
    }
    for response in both(&daemon, "ipv4.example.", RecordType::A) {
        assert_eq!(records(&response), ["ipv4.example. 30 IN A 192.0.2.33"]);
    }
    let expected =
        ["IPv4.example. AAAA", "IPv4.example. A", "ok-1.example. AAAA", "nxdomain-1.example. AAAA"];
    assert_eq!(asked(&upstream), expected, "the others are hits");
    assert_eq!(daemon.metric("coredns_dns64_requests_translated_total"), 2);
}

#[test]
fn ipv6_clients_alone_get_them_by_default() {
    let (upstream, port) = (ipv4_only(), unique_port());
    let bind = if has_ipv6() { "bind @ ::1" } else { "bind @" };
    let daemon = DaemonProcess::start(&format!(
        ".:{port} {{\n {bind}\n cache 30\n dns64\n forward . {}\n ready @:{READY}\n}}\n",
        upstream.addr()
    ));
    let mut servers = vec![(daemon.addr(port), Vec::new())];
    if has_ipv6() {
        let expected = vec!["ipv4.example. 20 IN AAAA 64:ff9b::c000:221".to_owned()];
        servers.push(((Ipv6Addr::LOCALHOST, port).into(), expected));
    }
    for (server, expected) in servers {
        for options in [QueryOptions::default(), QueryOptions::tcp()] {
            let response = Client::new(server).query("ipv4.example.", RecordType::AAAA, &options).unwrap();
            assert_eq!(records(&response), expected, "{server} {options:?}");
        }
    }
}
