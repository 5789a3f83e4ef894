//! The stub resolver parses `resolv.conf` as glibc does.

use std::time::Duration;

use testkit::client::Stub;

const POD: &str = "\
search default.svc.cluster.local svc.cluster.local cluster.local
nameserver 169.254.25.10
options ndots:5
";

#[test]
fn names_below_ndots_are_tried_with_the_search_list_first() {
    let stub = Stub::parse(POD).unwrap();
    assert_eq!(
        stub.candidates("www.google.com"),
        [
            "www.google.com.default.svc.cluster.local.",
            "www.google.com.svc.cluster.local.",
            "www.google.com.cluster.local.",
            "www.google.com.",
        ]
    );
    assert_eq!(stub.candidates("a.b.c.d.e.f").first().unwrap(), "a.b.c.d.e.f.");
    assert_eq!(stub.candidates("a.b.c.d.e.f").len(), 4);
    assert_eq!(stub.candidates("www.google.com."), ["www.google.com."]);
}

#[test]
fn last_search_line_applies_and_options_have_glibcs_limits() {
    let text = "domain example.org\nsearch a.test. b.test\noptions ndots:99 timeout:1 attempts:3 use-vc edns0 rotate\n\
                nameserver ::1\nnameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n; comment\n# comment\n";
    let stub = Stub::parse(text).unwrap();
    assert_eq!(stub.search, ["a.test.", "b.test"]);
    assert_eq!(stub.candidates("x"), ["x.a.test.", "x.b.test.", "x."]);
    assert_eq!((stub.ndots, stub.timeout, stub.attempts), (15, Duration::from_secs(1), 3));
    assert!(stub.tcp && stub.edns);
    assert_eq!(stub.servers, ["[::1]:53", "192.0.2.1:53", "192.0.2.2:53"].map(|addr| addr.parse().unwrap()));
}

#[test]
fn invalid_line_is_reported_with_its_number() {
    let error = Stub::parse("search a\nnameserver dns.example.org\n").unwrap_err();
    assert_eq!(error.to_string(), "resolv.conf:2: invalid line \"nameserver dns.example.org\"");
    assert_eq!(Stub::parse("options ndots:many").unwrap_err().line, 1);
}
