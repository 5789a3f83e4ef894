//! The `log` directive.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use corefile::settings::{LogClasses, LogRule};
use daemon::logging::query_log::{QueryLog, SentResponse};
use resolver::action::{Client, ClientResponse, ConnectionId, ResponseInfo, ResponseSource};
use resolver::policy::{ListenerId, RouteId};
use wire::header::{Flags, Header, Rcode, RecordType};
use wire::name::Name;

const ALL: LogClasses = LogClasses { success: true, denial: true, error: true };
const COMMON: &str = r#"{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}" {rcode} {>rflags} {rsize} {duration}"#;

fn rule(zone: &str, format: &str, classes: LogClasses) -> LogRule {
    LogRule { zone: Name::parse(zone).unwrap(), format: format.to_owned(), classes }
}

/// A response over UDP to `127.0.0.1:47394`.
struct Exchange {
    response: ClientResponse,
    message: Vec<u8>,
    local: IpAddr,
    now: Instant,
}

impl Exchange {
    fn line(&self, rules: &[LogRule]) -> Option<String> {
        self.line_with_upstream(rules, None)
    }

    /// With the directive `metadata` if there is an upstream.
    fn line_with_upstream(&self, rules: &[LogRule], upstream: Option<SocketAddr>) -> Option<String> {
        let mut log = QueryLog::new();
        log.set_rules(RouteId(1), rules, upstream.is_some());
        let Self { response, message, local, now } = self;
        log.line(&SentResponse { response, message, local: *local, upstream, now: *now })
    }

    fn filled(&self, format: &str) -> String {
        self.line(&[rule(".", format, ALL)]).unwrap()
    }

    fn info(&mut self) -> &mut ResponseInfo {
        self.response.info.as_mut().unwrap()
    }
}

/// A response without records.
fn exchange(name: &[u8], qtype: u16, flags: Flags) -> Exchange {
    let header =
        Header { id: 10_591, flags: flags.with(Flags::QR), qdcount: 1, ancount: 0, nscount: 0, arcount: 0 };
    let mut message = header.to_bytes().to_vec();
    message.extend_from_slice(name);
    message.extend_from_slice(&qtype.to_be_bytes());
    message.extend_from_slice(&1_u16.to_be_bytes());
    let received = Instant::now();
    let info = ResponseInfo {
        route: RouteId(1),
        received,
        query_len: 33,
        response_len: 33,
        buffer_size: 512,
        dnssec_ok: false,
        source: ResponseSource::Resolved,
    };
    let client = Client {
        listener: ListenerId(0),
        peer: SocketAddr::from(([127, 0, 0, 1], 47_394)),
        local: None,
        connection: None,
    };
    let response = ClientResponse { client, message: (0, 0), info: Some(info) };
    Exchange { response, message, local: IpAddr::from([169, 254, 25, 10]), now: received }
}

const NAME: &[u8] = b"\x07NxNoSoa\x02ex\x04test\0";

fn recursive(rcode: Rcode) -> Flags {
    Flags::RD.with(Flags::RA).with_rcode(rcode)
}

/// A record owned by the question's name.
fn record(rtype: RecordType, rdata: &[u8]) -> Vec<u8> {
    let mut record = vec![0xc0, 12];
    record.extend_from_slice(&rtype.0.to_be_bytes());
    record.extend_from_slice(&[0, 1, 0, 0, 0, 30]);
    record.extend_from_slice(&u16::try_from(rdata.len()).unwrap().to_be_bytes());
    record.extend_from_slice(rdata);
    record
}

#[test]
fn the_common_format_equals_coredns() {
    let mut sent = exchange(NAME, 1, recursive(Rcode::NXDOMAIN));
    sent.now += Duration::from_nanos(427_358);
    let expected = r#"127.0.0.1:47394 - 10591 "A IN nxnosoa.ex.test. udp 33 false 512" NXDOMAIN qr,rd,ra 33 0.000427358s"#;
    assert_eq!(sent.line(&[rule(".", COMMON, ALL)]).unwrap(), expected);
}

#[test]
fn all_placeholders() {
    let every_flag = Flags(0x07f0).with_rcode(Rcode(12));
    let mut sent = exchange(b"\0", 65_280, every_flag);
    sent.response.client.peer = SocketAddr::from((Ipv6Addr::LOCALHOST, 53));
    sent.response.client.connection = Some(ConnectionId(1));
    sent.local = IpAddr::from(Ipv6Addr::LOCALHOST);
    sent.now += Duration::from_secs(2);
    *sent.info() = ResponseInfo {
        query_len: 40,
        response_len: 3874,
        buffer_size: 65_535,
        dnssec_ok: true,
        ..*sent.info()
    };
    for (format, filled) in [
        ("{remote}:{port}", "[::1]:53"),
        ("{local}", "[::1]"),
        ("{proto}", "tcp"),
        ("{type} {class} {name}", "TYPE65280 IN ."),
        ("{size} {rsize}", "40 3874"),
        ("{>do} {>bufsize}", "true 65535"),
        ("{>id} {>opcode}", "10591 0"),
        ("{rcode} {>rflags}", "12 qr,aa,tc,rd,ra,z,ad,cd"),
        ("{duration}", "2s"),
        ("{/forward/upstream} {other} }{", "- {other} }{"),
    ] {
        assert_eq!(sent.filled(format), filled, "{format}");
    }
}

#[test]
fn labels_have_values_with_metadata() {
    let format = "{/forward/upstream} {/log/type} {/log/class} {/view/name}";
    for (rcode, filled) in [
        (Rcode::NOERROR, "10.233.0.3:53 NOERROR success -"),
        (Rcode::NXDOMAIN, "10.233.0.3:53 NXDOMAIN denial -"),
        (Rcode::SERVFAIL, "10.233.0.3:53 SERVERERROR error -"),
        (Rcode::REFUSED, "10.233.0.3:53 OTHERERROR error -"),
    ] {
        let sent = exchange(NAME, 1, recursive(rcode));
        let upstream = Some("10.233.0.3:53".parse().unwrap());
        assert_eq!(sent.line_with_upstream(&[rule(".", format, ALL)], upstream).unwrap(), filled);
        assert_eq!(sent.filled(format), "- - - -");
    }
    let upstream = Some("[fd00::3]:853".parse().unwrap());
    let sent = exchange(NAME, 1, recursive(Rcode::NOERROR));
    let rules = [rule(".", "{/forward/upstream}", ALL)];
    assert_eq!(sent.line_with_upstream(&rules, upstream).unwrap(), "[fd00::3]:853");
}

#[test]
fn types_and_classes_without_mnemonic() {
    let mut sent = exchange(NAME, 0, recursive(Rcode::NOERROR));
    assert_eq!(sent.filled("{type}"), "None");
    sent.info().buffer_size = 0;
    assert_eq!(sent.filled("{>bufsize}"), "512");
    let class = sent.message.len() - 2;
    sent.message[class..].copy_from_slice(&255_u16.to_be_bytes());
    assert_eq!(sent.filled("{class}"), "CLASS255");
}

#[test]
fn names_are_escaped() {
    let sent = exchange(b"\x04\"\n\x1b\xff\0", 1, recursive(Rcode::NOERROR));
    assert_eq!(sent.filled("{name}"), r#"\"\010\027\255."#);
}

#[test]
fn the_first_rule_whose_zone_covers_the_name_applies() {
    let sent = exchange(NAME, 1, recursive(Rcode::NOERROR));
    let errors = LogClasses { success: false, denial: false, error: true };
    assert_eq!(sent.line(&[rule("other.test.", "a", ALL)]), None);
    assert_eq!(sent.line(&[rule("EX.test", "b", ALL), rule(".", "c", ALL)]).unwrap(), "b");
    assert_eq!(sent.line(&[rule("ex.test.", "b", errors), rule(".", "c", ALL)]), None);
}

#[test]
fn responses_without_rule_or_response_info_are_not_logged() {
    let mut sent = exchange(NAME, 1, recursive(Rcode::NOERROR));
    assert_eq!(sent.line(&[]), None);
    sent.info().route = RouteId(2);
    assert_eq!(sent.line(&[rule(".", COMMON, ALL)]), None);
    sent.response.info = None;
    assert_eq!(sent.line(&[rule(".", COMMON, ALL)]), None);
}

#[test]
fn responses_are_classified_as_success_denial_or_error() {
    let soa = record(RecordType::SOA, &[&[0, 0][..], &[0; 20]].concat());
    let a = record(RecordType::A, &[192, 0, 2, 7]);
    let ns = record(RecordType::NS, &[0]);
    for (rcode, answer, authority, class) in [
        (Rcode::NOERROR, Some(&a), None, "success"),
        (Rcode::NOERROR, None, Some(&ns), "success"),
        (Rcode::NOERROR, None, None, "success"),
        (Rcode::NOERROR, None, Some(&soa), "denial"),
        (Rcode::NXDOMAIN, None, Some(&soa), "denial"),
        (Rcode::NXDOMAIN, None, None, "denial"),
        (Rcode::SERVFAIL, None, None, "error"),
        (Rcode::REFUSED, None, None, "error"),
    ] {
        let mut sent = exchange(NAME, 1, recursive(rcode));
        for (records, count_at) in [(answer, 7), (authority, 9)] {
            if let Some(record) = records {
                sent.message[count_at] = 1;
                sent.message.extend_from_slice(record);
            }
        }
        let logged = |classes| sent.line(&[rule(".", "x", classes)]).is_some();
        let none = LogClasses { success: false, denial: false, error: false };
        let logged = [
            ("success", logged(LogClasses { success: true, ..none })),
            ("denial", logged(LogClasses { denial: true, ..none })),
            ("error", logged(LogClasses { error: true, ..none })),
        ];
        assert_eq!(logged.map(|(known, logged)| logged == (known == class)), [true; 3], "{rcode} {class}");
    }
}
