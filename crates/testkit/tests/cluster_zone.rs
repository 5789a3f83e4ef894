#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]
//! The cluster zone responds as CoreDNS's kubernetes plugin does.

use std::time::Duration;

use testkit::client::{Client, ClientError, LookupResult, Pipeline, QueryOptions, Response, Stub};
use testkit::upstream::{Transport, Upstream};
use testkit::{RecordType, ResponseCode, cluster_zone};

const SVC: &str = "default.svc.cluster.local";

fn start() -> (Upstream, Client) {
    let upstream = cluster_zone::start("127.0.0.1:0".parse().unwrap()).unwrap();
    let client = Client::new(upstream.addr());
    (upstream, client)
}

fn query(client: &Client, name: &str, record_type: RecordType) -> Response {
    client.query(name, record_type, &QueryOptions::default()).unwrap()
}

/// Owner, TTL, type and data of the answer records.
fn answers(reply: &Response) -> Vec<String> {
    let format = |record: &hickory_proto::rr::Record| {
        format!("{} {} {} {}", record.name, record.ttl, record.record_type(), record.data)
    };
    reply.message.answers.iter().map(format).collect()
}

#[test]
fn service_has_one_address_with_ttl_5() {
    let (_upstream, client) = start();
    let reply = query(&client, &format!("myweb-svc.{SVC}"), RecordType::A);
    assert_eq!(answers(&reply), [format!("myweb-svc.{SVC}. 5 A 10.233.18.231")]);
    let head = reply.message.metadata;
    assert!(head.authoritative && head.recursion_available && head.recursion_desired && !head.truncation);
    assert!(reply.message.authorities.is_empty());
}

#[test]
fn negative_responses_have_the_soa_of_their_zone() {
    let (_upstream, client) = start();
    let cases = [
        (format!("myweb-svc.{SVC}"), RecordType::AAAA, ResponseCode::NoError, "cluster.local."),
        (format!("myweb-svc.{SVC}"), RecordType::MX, ResponseCode::NoError, "cluster.local."),
        (SVC.to_owned(), RecordType::A, ResponseCode::NoError, "cluster.local."),
        (
            "myweb-svc.dev.svc.cluster.local".to_owned(),
            RecordType::A,
            ResponseCode::NXDomain,
            "cluster.local.",
        ),
        ("12.18.233.10.in-addr.arpa".to_owned(), RecordType::PTR, ResponseCode::NXDomain, "in-addr.arpa."),
        ("google.example".to_owned(), RecordType::A, ResponseCode::NXDomain, "."),
    ];
    for (name, record_type, code, apex) in cases {
        let reply = query(&client, &name, record_type);
        assert_eq!(reply.message.metadata.response_code, code, "{name}");
        assert!(reply.message.answers.is_empty(), "{name}");
        let soa = &reply.message.authorities[0];
        assert_eq!((soa.name.to_ascii(), soa.record_type()), (apex.to_owned(), RecordType::SOA), "{name}");
        assert_eq!(
            soa.ttl,
            if apex == "." { cluster_zone::EXTERNAL_TTL } else { cluster_zone::CLUSTER_TTL },
            "{name}"
        );
        assert_eq!(reply.message.metadata.authoritative, apex != ".", "{name}");
    }
    let soa = query(&client, "cluster.local", RecordType::SOA);
    let data = soa.message.answers[0].data.to_string();
    assert!(data.starts_with("ns.dns.cluster.local. hostmaster.cluster.local. "), "{data}");
    assert!(data.ends_with(" 7200 1800 86400 5"), "{data}");
}

#[test]
fn headless_service_has_the_addresses_of_its_pods_and_they_have_names() {
    let (_upstream, client) = start();
    let reply = query(&client, &format!("myweb-headless.{SVC}"), RecordType::A);
    assert_eq!(reply.message.answers.len(), 3);
    let reply = query(&client, &format!("myweb-1.myweb-headless.{SVC}"), RecordType::A);
    assert_eq!(answers(&reply), [format!("myweb-1.myweb-headless.{SVC}. 5 A 10.233.92.12")]);
    let reply = query(&client, "12.92.233.10.in-addr.arpa", RecordType::PTR);
    assert_eq!(answers(&reply), [format!("12.92.233.10.in-addr.arpa. 5 PTR myweb-1.myweb-headless.{SVC}.")]);
}

#[test]
fn named_ports_have_srv_records() {
    let (_upstream, client) = start();
    let name = format!("_http._tcp.crane-http.{SVC}");
    let reply = query(&client, &name, RecordType::SRV);
    assert_eq!(answers(&reply), [format!("{name}. 5 SRV 0 100 80 crane-http.{SVC}.")]);
    assert_eq!(reply.message.additionals[0].data.to_string(), "10.96.49.75");

    let name = format!("_http._tcp.myweb-headless.{SVC}");
    let reply = query(&client, &name, RecordType::SRV);
    assert_eq!(answers(&reply)[2], format!("{name}. 5 SRV 0 33 8080 myweb-2.myweb-headless.{SVC}."));
    assert_eq!(reply.message.additionals.len(), 3);

    let reply = query(&client, &format!("crane-http.{SVC}"), RecordType::SRV);
    assert_eq!(reply.message.answers.len(), 2);
}

#[test]
fn external_name_is_a_cname() {
    let (_upstream, client) = start();
    let reply = query(&client, &format!("google.{SVC}"), RecordType::A);
    assert_eq!(
        answers(&reply),
        [format!("google.{SVC}. 5 CNAME www.google.com."), "www.google.com. 300 A 198.51.100.104".to_owned()]
    );
    let external = query(&client, "www.google.com", RecordType::AAAA);
    assert_eq!(answers(&external), ["www.google.com. 300 AAAA 2001:db8:4000::2004"]);
    assert!(!external.message.metadata.authoritative);
}

#[test]
fn qname_case_and_opt_are_copied_from_the_query() {
    let (_upstream, client) = start();
    let options = QueryOptions { edns: Some(4096), dnssec_ok: true, ..QueryOptions::tcp() };
    let name = "MyWeb-SVC.default.svc.CLUSTER.local.";
    let reply = client.query(name, RecordType::A, &options).unwrap();
    assert_eq!(reply.message.queries[0].name.to_ascii(), name);
    assert_eq!(reply.message.answers[0].name.to_ascii(), name);
    let edns = reply.message.edns.unwrap();
    assert_eq!((edns.max_payload(), edns.flags().dnssec_ok), (4096, true));
}

#[test]
fn queries_are_logged_with_their_connection() {
    let (upstream, client) = start();
    query(&client, &format!("kubernetes.{SVC}"), RecordType::A);
    let mut pipeline = Pipeline::connect(upstream.addr(), Duration::from_secs(5)).unwrap();
    for name in ["kubernetes", "alpaca-prod", "bandicoot-prod"] {
        pipeline.send(&format!("{name}.{SVC}"), RecordType::A, &QueryOptions::default()).unwrap();
    }
    let received: Vec<String> = (0..3).map(|_| answers(&pipeline.receive().unwrap())[0].clone()).collect();
    assert_eq!(
        received,
        [
            format!("kubernetes.{SVC}. 5 A 10.233.0.1"),
            format!("alpaca-prod.{SVC}. 5 A 10.96.78.232"),
            format!("bandicoot-prod.{SVC}. 5 A 10.96.191.162"),
        ]
    );
    assert_eq!(upstream.query_count(&format!("KUBERNETES.{SVC}.")), 2);
    let seen: Vec<_> = upstream.queries().iter().map(|query| (query.transport, query.connection)).collect();
    assert_eq!(seen, [(Transport::Udp, 0), (Transport::Tcp, 1), (Transport::Tcp, 1), (Transport::Tcp, 1)]);
    drop(pipeline);
    assert!(upstream.wait_for_connections(Duration::from_secs(5), |connections| connections.open == 0));
    assert_eq!((upstream.connections().accepted, upstream.connections().max_open), (1, 1));
}

#[test]
fn search_list_finds_services() {
    let (upstream, _client) = start();
    let mut pod = Stub::parse(
        "nameserver 169.254.25.10\nsearch dev.svc.cluster.local svc.cluster.local cluster.local default.svc.cluster.local\noptions ndots:5\n",
    )
    .unwrap();
    pod.servers = vec![upstream.addr()];
    let (result, candidates) = pod.look_up("myweb-svc", RecordType::A);
    assert_eq!(result, LookupResult::Found);
    let names: Vec<&str> = candidates.iter().map(|candidate| candidate.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "myweb-svc.dev.svc.cluster.local.",
            "myweb-svc.svc.cluster.local.",
            "myweb-svc.cluster.local.",
            "myweb-svc.default.svc.cluster.local."
        ]
    );
    assert_eq!(pod.look_up("myweb-svc.default", RecordType::A).0, LookupResult::Found);
    assert_eq!(pod.look_up("myweb-svc.default", RecordType::MX).0, LookupResult::NoData);
    assert_eq!(pod.look_up("no-such-service", RecordType::A).0, LookupResult::NxDomain);
}

#[test]
fn drop_closes_the_sockets() {
    let (upstream, client) = start();
    let addr = upstream.addr();
    drop(upstream);
    let refused = client.query("kubernetes.default.svc.cluster.local", RecordType::A, &QueryOptions::tcp());
    assert!(
        matches!(&refused, Err(ClientError::Io(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused),
        "{refused:?}"
    );
    // The port is free at once.
    let again = cluster_zone::start(addr).unwrap();
    assert_eq!(again.addr(), addr);
}
