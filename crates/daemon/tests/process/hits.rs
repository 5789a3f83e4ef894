//! Cache hits, and error responses to invalid packets.

use std::time::Duration;

use hickory_proto::rr::rdata::opt::EdnsOption;
use testkit::client::{Client, ClientError, QueryOptions};
use testkit::{Message, RecordType, ResponseCode};

use crate::fixture::{DNS, DaemonProcess, WAIT_LIMIT, has_ipv6, unique_port, upstream, wait_until};
use crate::responses::{code, data, ttl};

#[test]
fn a_hit_has_an_aged_ttl_and_the_spelling_of_the_client() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp");
    let first = daemon.query("ok-age.example.");
    assert_eq!(ttl(&first), 30);
    let mut last = 30;
    assert!(wait_until(WAIT_LIMIT, || {
        let hit = daemon.query("OK-Age.eXample.");
        assert_eq!(hit.message.queries[0].name.to_ascii(), "OK-Age.eXample.");
        assert_eq!(data(&hit), ["192.0.2.1"]);
        assert!((last - 1..=last).contains(&ttl(&hit)), "{} after {last}", ttl(&hit));
        last = ttl(&hit);
        last == 28
    }));
    let by_tcp = daemon.query_with("ok-AGE.example.", &QueryOptions::tcp());
    assert!((27..=28).contains(&ttl(&by_tcp)));
    assert_eq!(upstream.query_count("ok-age.example."), 1);
}

#[test]
fn denials_are_cached() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp");
    for name in ["nxdomain-1.example.", "nodata-1.example."] {
        let (first, second) = (daemon.query(name), daemon.query(name));
        assert_eq!(code(&first), code(&second));
        assert_eq!(second.message.authorities.len(), 1);
        assert_eq!(upstream.query_count(name), 1, "{name}");
    }
}

/// The octets of a query for a name that exists.
fn query(change: impl FnOnce(&mut Message)) -> Vec<u8> {
    let options = QueryOptions { edns: Some(1232), ..QueryOptions::default() };
    let mut query = options.message(0x1234, "ok-1.example.", RecordType::A).unwrap();
    change(&mut query);
    query.to_vec().unwrap()
}

#[test]
fn invalid_packets_get_an_error_response_or_are_dropped() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp");
    let client = Client { timeout: Duration::from_millis(200), ..daemon.client() };
    let bare = |code: u8| vec![0x12, 0x34, 0x81, code, 0, 0, 0, 0, 0, 0, 0, 0];
    let good = query(|_| ());

    let mut notify = good.clone();
    notify[2] |= 4 << 3;
    let response = client.exchange_octets(&notify).unwrap();
    assert_eq!(response, [&[0x12, 0x34, 0xa1, 4], [0; 8].as_slice()].concat(), "NOTIMP, opcode kept");

    let mut two_questions = good.clone();
    two_questions[5] = 2;
    assert_eq!(client.exchange_octets(&two_questions).unwrap(), bare(1), "FORMERR");
    assert_eq!(client.exchange_octets(&good[..20]).unwrap(), bare(1), "FORMERR");

    let other_version = query(|query| {
        query.edns.as_mut().unwrap().set_version(1);
    });
    let response = Message::from_vec(&client.exchange_octets(&other_version).unwrap()).unwrap();
    assert_eq!(u16::from(response.metadata.response_code), 16, "BADVERS");
    assert_eq!((response.edns.unwrap().version(), response.answers.len()), (0, 0));

    let mut response = good.clone();
    response[2] |= 0x80;
    for dropped in [&response, &good[..11], &[]] {
        assert!(matches!(client.exchange_octets(dropped), Err(ClientError::Timeout)), "{dropped:?}");
    }
    let rejected =
        |reason| daemon.metric(&format!("nodelocaldns_rejected_packets_total{{reason=\"{reason}\"}}"));
    assert_eq!((rejected("FORMERR"), rejected("BADVERS"), rejected("dropped")), (2, 1, 3));
    assert_eq!(daemon.warnings(), Vec::<String>::new());
    assert_eq!(upstream.queries().len(), 0);
    assert_eq!(code(&daemon.query("ok-1.example.")), ResponseCode::NoError);
}

#[test]
fn a_query_of_4096_octets_is_read_whole() {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "force_tcp");
    let with_option = |length| {
        query(|query| {
            let option = EdnsOption::Unknown(65_001, vec![0; length]);
            query.edns.as_mut().unwrap().options_mut().insert(option);
        })
    };
    let longest = with_option(4096 - with_option(0).len());
    assert_eq!(longest.len(), 4096);
    let response = Message::from_vec(&daemon.client().exchange_octets(&longest).unwrap()).unwrap();
    assert_eq!((response.metadata.response_code, response.answers.len()), (ResponseCode::NoError, 1));
}

#[test]
fn transfers_and_names_outside_every_zone_are_refused_locally() {
    let upstream = upstream();
    let daemon = DaemonProcess::start(&format!(
        "example:{DNS} {{\n bind @\n forward . {}\n ready @:8181\n }}",
        upstream.addr()
    ));
    let client = daemon.client();
    let outside = client.query("ok-1.elsewhere.", RecordType::A, &QueryOptions::default()).unwrap();
    assert_eq!(code(&outside), ResponseCode::Refused);
    for transfer in [RecordType::AXFR, RecordType::IXFR] {
        let refused = client.query("ok-1.example.", transfer, &QueryOptions::tcp()).unwrap();
        assert_eq!(code(&refused), ResponseCode::Refused);
    }
    assert_eq!(upstream.queries().len(), 0);
    assert_eq!(daemon.metric("coredns_dns_requests_total{zone=\"dropped\"}"), 1);
}

/// The daemon with this `bind` line serves several addresses, and each query is answered from the
/// queried one.
fn responds_from_the_queried_address(bind: &str) {
    let upstream = upstream();
    let port = unique_port();
    let daemon = DaemonProcess::start(&format!(
        ".:{port} {{\n {bind}\n cache\n forward . {}\n ready @:8181\n }}",
        upstream.addr()
    ));
    let mut servers =
        vec![daemon.addr(port), ([127, 0, 0, 1], port).into(), ([127, 99, 99, 99], port).into()];
    if has_ipv6() {
        servers.push((std::net::Ipv6Addr::LOCALHOST, port).into());
    }
    for server in servers {
        // The client's socket is connected: it receives from the queried address only.
        for options in [QueryOptions::default(), QueryOptions::tcp()] {
            let response = Client::new(server).query("ok-1.example.", RecordType::A, &options);
            let response = response.unwrap_or_else(|error| panic!("{bind}: {server}: {error}"));
            assert_eq!(data(&response), ["192.0.2.1"], "{bind}: {server}");
        }
    }
}

#[test]
fn a_block_without_bind_responds_from_the_queried_address() {
    responds_from_the_queried_address("");
}

#[test]
fn a_block_with_bind_to_a_wildcard_serves_both_families_from_the_queried_address() {
    for bind in ["bind 0.0.0.0", "bind ::", "bind :: 0.0.0.0"] {
        responds_from_the_queried_address(bind);
    }
}
