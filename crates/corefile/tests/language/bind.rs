//! `bind`: addresses and interfaces to listen on.

use super::load::{COREFILE, first_line, load_lines, served};

fn bound(lines: &str) -> Vec<String> {
    served(&load_lines(lines).unwrap()).into_iter().map(|(label, _)| label).collect()
}

#[test]
fn bind_accepts_addresses_and_interfaces_and_lines_add_up() {
    for (lines, labels) in [
        ("bind 169.254.25.10", &["dns://169.254.25.10:53"][..]),
        ("bind 169.254.25.10 fd00::10", &["dns://169.254.25.10:53", "dns://[fd00::10]:53"]),
        ("bind 127.0.0.1\nbind 127.0.0.2", &["dns://127.0.0.1:53", "dns://127.0.0.2:53"]),
        ("bind 127.0.0.1 127.0.0.1", &["dns://127.0.0.1:53"]),
        ("bind 0.0.0.0", &["dns://0.0.0.0:53"]),
        ("bind eth0", &["dns://192.0.2.9:53", "dns://[2001:db8::9]:53", "dns://[fe80::9%eth0]:53"]),
        ("bind fe80::9%eth0", &["dns://[fe80::9%eth0]:53"]),
        ("bind eth0 {\n except 192.0.2.9 fe80::9%eth0\n}", &["dns://[2001:db8::9]:53"]),
        ("bind 127.0.0.1 eth0 {\n except eth0\n}", &["dns://127.0.0.1:53"]),
        ("bind 127.0.0.1 {\n except 127.0.0.1\n}", &[]),
    ] {
        assert_eq!(bound(lines), labels, "{lines}");
    }
}

#[test]
fn link_local_bind_addresses_have_the_interface_index() {
    let settings = load_lines("bind fe80::9%eth0").unwrap();
    assert_eq!(settings.listeners[0].addresses, ["[fe80::9%2]:53".parse().unwrap()]);
}

#[test]
fn invalid_bind_arguments_are_rejected() {
    for (lines, reason) in [
        ("bind", "at least one address or interface name is expected"),
        ("bind eth7", "not a valid IP address or interface name: \"eth7\""),
        ("bind 10.0.0.256", "not a valid IP address or interface name: \"10.0.0.256\""),
        ("bind <nil>", "not a valid IP address or interface name: \"<nil>\""),
        ("bind fe80::1%eth7", "\"fe80::1%eth7\" names an interface that this node does not have"),
        (
            "bind __PILLAR__LOCAL__DNS__",
            "\"__PILLAR__LOCAL__DNS__\" was not replaced by an address; variables are \
          replaced in the file of -basecorefile, not in that of -conf",
        ),
        ("bind eth0 {\n only ::1\n}", "invalid option \"only\""),
        ("bind eth0 {\n except\n}", "at least one address or interface must be given to except subdirective"),
    ] {
        let line = first_line(load_lines(lines));
        assert!(line.starts_with(&format!("plugin/bind: {COREFILE}:")), "{line}");
        assert!(line.ends_with(&format!("Error during parsing: {reason}")), "{line}");
    }
}
