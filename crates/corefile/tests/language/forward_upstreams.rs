//! TO of `forward`: addresses and upstream files.

use super::assertions::{ARGUMENT_COUNT, assert_all_rejected, assert_forward_options_rejected};
use super::load::{COREFILE, first_line, forward, load_from};

fn upstreams(to: &str) -> Vec<String> {
    forward(&format!("forward . {to}")).upstreams.iter().map(ToString::to_string).collect()
}

#[test]
fn forward_accepts_addresses_and_upstream_files() {
    for (to, expected) in [
        ("192.0.2.1", &["192.0.2.1:53"][..]),
        (
            "192.0.2.1:5353 [2001:db8::1]:54 2001:db8::2",
            &["192.0.2.1:5353", "[2001:db8::1]:54", "[2001:db8::2]:53"],
        ),
        ("dns://192.0.2.1 dns://[2001:db8::1]:54", &["192.0.2.1:53", "[2001:db8::1]:54"]),
        ("192.0.2.1 192.0.2.1:53 192.0.2.1:54", &["192.0.2.1:53", "192.0.2.1:54"]),
        ("fe80::1%eth0 [fe80::2%2]:54", &["[fe80::1%2]:53", "[fe80::2%2]:54"]),
        ("dns://[fe80::1%eth0]:54 2001:db8::1%eth0", &["[fe80::1%2]:54", "[2001:db8::1]:53"]),
        ("/etc/resolv.conf", &["192.0.2.1:53"]),
        ("/etc/resolv.conf 192.0.2.2", &["192.0.2.1:53", "192.0.2.2:53"]),
    ] {
        assert_eq!(upstreams(to), expected, "{to}");
    }
}

#[test]
fn only_nameserver_lines_of_an_upstream_file_are_used() {
    let text = "# nameserver 192.0.2.99\n\tnameserver\t192.0.2.1 # first\nnameserver fe80::1%eth0\n\
                options ndots:5\n\
                nameserver bogus\nnameserver\n";
    let corefile = ". {\n forward . /run/resolv.conf\n}\n";
    let files = &[(COREFILE, corefile), ("/run/resolv.conf", text)];
    let settings = load_from(files).unwrap();
    assert_eq!(
        settings.blocks[0].forwards[0].upstreams,
        ["192.0.2.1:53".parse().unwrap(), "[fe80::1%2]:53".parse().unwrap()]
    );
    assert!(settings.warnings[0].contains("\"bogus\""), "{:?}", settings.warnings);
}

#[test]
fn link_local_nameservers_need_an_interface_of_the_node() {
    let text = "nameserver fe80::1%eth0\nnameserver fe80::1%2\nnameserver fe80::1%eth9\nnameserver fe80::2\n\
                nameserver 192.0.2.1%eth0\nnameserver fe80::3%2\n";
    let corefile = ". {\n forward . /run/resolv.conf\n}\n";
    let settings = load_from(&[(COREFILE, corefile), ("/run/resolv.conf", text)]).unwrap();
    let upstreams = settings.blocks[0].forwards[0].upstreams.iter().map(ToString::to_string);
    assert_eq!(upstreams.collect::<Vec<_>>(), ["[fe80::1%2]:53", "[fe80::3%2]:53"]);
    let at = |line: u32| format!("/etc/coredns/Corefile:2 - /run/resolv.conf:{line}");
    assert_eq!(
        settings.warnings,
        [
            format!(
                "{} lists \"fe80::1%eth9\", whose interface this node does not have, and is ignored",
                at(3)
            ),
            format!(
                "{} lists \"fe80::2\", which is a link-local address without its interface, as in \
                 fe80::1%eth0, and is ignored",
                at(4)
            ),
            format!("{} lists \"192.0.2.1%eth0\", which is not an IP address and is ignored", at(5)),
        ]
    );
}

#[test]
fn link_local_upstreams_need_an_interface_of_the_node() {
    for to in ["fe80::1%eth9", "fe80::1%", "fe80::1%9", "2001:db8::1%eth9", "[fe80::1%eth9]:53"] {
        let reason =
            format!(":2 - Error during parsing: {to:?} names an interface that this node does not have");
        assert_all_rejected("forward", &[(&format!("forward . 192.0.2.1 {to}"), &reason)]);
    }
    let settings = load_from(&[(COREFILE, ". {\n forward . fe80::1\n}\n")]).unwrap();
    let reason = "is a link-local address, which cannot be reached without its interface, as in fe80::1%eth0";
    assert_eq!(settings.warnings, [format!("/etc/coredns/Corefile:2 - \"fe80::1\" {reason}")]);
}

#[test]
fn forward_accepts_fifteen_words_of_to() {
    let words = |count: u32| (1..=count).map(|n| format!(" 192.0.2.{n}")).collect::<String>();
    assert_eq!(upstreams(&words(15)).len(), 15);
    assert_eq!(upstreams(&"192.0.2.1 ".repeat(15)), ["192.0.2.1:53"]);
    let last = ":2 - Error during parsing: more than 15 TOs configured: 16";
    assert_all_rejected("forward", &[(&format!("forward .{}", " 192.0.2.1".repeat(16)), last)]);
    let long: String =
        (1..=16).map(|n| format!("nameserver 198.51.100.{n}\nnameserver 198.51.100.1\n")).collect();
    let corefile = format!(". {{\n forward .{} /run/resolv.conf\n}}\n", words(14));
    let files = &[(COREFILE, &*corefile), ("/run/resolv.conf", &*long)];
    let settings = load_from(files).unwrap();
    assert_eq!(settings.blocks[0].forwards[0].upstreams.len(), 29);
    assert_eq!(
        settings.warnings,
        [
            "/etc/coredns/Corefile:2 - /run/resolv.conf:31 is beyond the first 15 nameservers, which are the only \
          ones used"
        ]
    );
    assert_eq!(settings.files.upstreams.values().next().unwrap().len(), 15);
}

#[test]
fn host_names_as_upstreams_are_rejected() {
    let remedy = "host names are not resolved, because the resolver of the node may be this cache: write IP \
                  addresses, or the path of a file with nameserver lines";
    let option = format!("option 'resolver' is not supported by nodelocaldns: {remedy}");
    assert_forward_options_rejected(&[
        ("resolver 192.0.2.53", &option),
        ("resolver 192.0.2.53:53 ::1", &option),
        ("resolver", &format!("{ARGUMENT_COUNT} 'resolver'")),
    ]);
    let word = format!(":2 - Error during parsing: not an IP address or file: \"foo.example\"; {remedy}");
    assert_all_rejected("forward", &[("forward . ::1 foo.example", &word)]);
}

#[test]
fn upstream_file_without_nameservers_is_rejected_unless_other_upstreams_are_given() {
    let load = |corefile: &str| {
        let text = "search a.test\nnameserver ten\nnameserver\n";
        let files = &[(COREFILE, corefile), ("/run/empty", "search a.test\n"), ("/run/typo", text)];
        load_from(files)
    };
    let line = first_line(load(". {\n forward . /run/empty\n}\n"));
    assert!(line.ends_with("no nameservers found: /run/empty lists no nameserver"), "{line}");
    let line = first_line(load(". {\n forward . /run/typo\n}\n"));
    assert!(
        line.ends_with(
            "no nameservers found: /run/typo:2 lists \"ten\", which is not an IP address and is ignored; \
             /run/typo:3 has no address after nameserver and is ignored; /run/typo lists no nameserver"
        ),
        "{line}"
    );
    let settings = load(". {\n forward . /run/empty ::1\n}\n").unwrap();
    assert_eq!(settings.blocks[0].forwards[0].upstreams.len(), 1);
    assert!(settings.warnings[0].ends_with("/run/empty lists no nameserver"), "{:?}", settings.warnings);
}
