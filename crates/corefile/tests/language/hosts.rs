//! `hosts`: its file, inline entries and options.

use std::sync::Arc;
use std::time::Duration;

use corefile::Settings;
use resolver::policy::{Hosts, HostsTable, LocalPlugin};
use wire::name::Name;

use super::assertions::{ARGUMENT_COUNT, assert_all_rejected};
use super::load::{COREFILE, load_from, load_lines};

const HOSTS: &str = "127.0.0.1 localhost\n";

/// A server block for the root with these lines, on a host with this /etc/hosts.
fn load_on(hosts: &str, lines: &str) -> Settings {
    let corefile = format!(".:53 {{\n{lines}\n}}\n");
    load_from(&[(COREFILE, &corefile), ("/etc/hosts", hosts)]).unwrap()
}

fn hosts_of(settings: &Settings) -> Arc<Hosts> {
    let mut plugins = settings.blocks.iter().flat_map(|block| &block.plugins);
    let hosts = plugins.find_map(|plugin| match plugin {
        LocalPlugin::Hosts(hosts) => Some(Arc::clone(hosts)),
        _ => None,
    });
    hosts.unwrap()
}

/// A table with these pairs of address and name, and their reverse entries.
fn table(entries: &[(&str, &str)]) -> HostsTable {
    let mut table = table_without_reverse(entries);
    for (address, name) in entries {
        table.add_reverse(address.parse().unwrap(), &Name::parse(name).unwrap());
    }
    table
}

fn table_without_reverse(entries: &[(&str, &str)]) -> HostsTable {
    let mut table = HostsTable::default();
    for (address, name) in entries {
        table.add(&Name::parse(name).unwrap(), address.parse().unwrap());
    }
    table
}

#[test]
fn hosts_has_the_entries_of_etc_hosts_and_of_the_corefile() {
    let settings = load_on(HOSTS, "hosts {\n 192.0.2.1 www.example.test alias.test # comment\n}");
    let entries =
        [("127.0.0.1", "localhost"), ("192.0.2.1", "www.example.test"), ("192.0.2.1", "alias.test")];
    assert_eq!(hosts_of(&settings).table, table(&entries));
    let file = settings.blocks[0].hosts.clone().unwrap();
    assert_eq!((file.path.to_str().unwrap(), &*file.label, file.entries), ("/etc/hosts", "/etc/hosts", 6));
    assert_eq!(file.reload, Duration::from_secs(5));
    assert_eq!(settings.warnings, [""; 0]);
}

#[test]
fn a_hosts_file_has_an_address_and_its_names_on_each_line() {
    let text = "# 192.0.2.9 comment.test\n\n\t192.0.2.1\tWWW.Example.test. alias.test#comment x.test\r\n\
                192.0.2.2\nnot-an-address www.example.test\n192.0.2.300 www.example.test\n\
                fe80::1%eth0 local.test\n192.0.2.3%eth0 zone.test\n2001:db8::1 bad..name www.example.test\n\
                ::ffff:192.0.2.4 mapped.test\n192.0.2.1 www.example.test\n192.0.2.5 *.apps.test";
    let entries = [
        ("192.0.2.1", "www.example.test"),
        ("192.0.2.1", "alias.test"),
        ("fe80::1", "local.test"),
        ("2001:db8::1", "www.example.test"),
        ("192.0.2.4", "mapped.test"),
        ("192.0.2.5", "*.apps.test"),
    ];
    let settings = load_on(text, "hosts");
    assert_eq!(hosts_of(&settings).table, table(&entries));
    assert_eq!(settings.warnings, [""; 0]);
}

#[test]
fn lines_of_any_length_are_read_and_only_long_fields_are_left_out() {
    let aliases: String = (0..8000).map(|number| format!(" alias{number}.test")).collect();
    let long = "x".repeat(1025);
    let text = format!("192.0.2.1{aliases}\n192.0.2.2 first.test {long} last.test\n192.0.2.3 after.test\n");
    assert!(text.len() > 100 << 10);
    let settings = load_on(&text, "hosts");
    assert_eq!(settings.blocks[0].hosts.as_ref().unwrap().entries, 2 * 8003);
    assert_eq!(settings.warnings, ["/etc/hosts:2 has a field of more than 1024 octets, which is ignored"]);
}

#[test]
fn names_outside_the_zones_are_left_out() {
    let entries = [("192.0.2.1", "www.example.test"), ("192.0.2.2", "www.example.com")];
    let text = "192.0.2.1 www.example.test\n192.0.2.2 www.example.com\n";
    for (zones, kept) in [("", &entries[..]), (" example.test", &entries[..1]), (" .", &entries)] {
        let settings = load_on(text, &format!("hosts /etc/hosts{zones}"));
        assert_eq!(hosts_of(&settings).table, table(kept), "{zones}");
    }
    let corefile = "example.com example.org {\n hosts\n}\n";
    let hosts = hosts_of(&load_from(&[(COREFILE, corefile), ("/etc/hosts", text)]).unwrap());
    assert_eq!(hosts.zones, ["example.com", "example.org"].map(|zone| Name::parse(zone).unwrap()));
    assert_eq!(hosts.table, table(&entries[1..]));
}

#[test]
fn hosts_options_are_applied() {
    let hosts = |options: &str| hosts_of(&load_on(HOSTS, &format!("hosts {{\n{options}\n}}")));
    let defaults = hosts("");
    assert_eq!((defaults.ttl, defaults.passes_other_types), (3600, false));
    assert_eq!(defaults.fallthrough, []);
    assert_eq!([hosts("ttl 1").ttl, hosts("ttl 65535").ttl], [1, 65535]);
    assert_eq!(hosts("no_reverse").table, table_without_reverse(&[("127.0.0.1", "localhost")]));
    assert_eq!(hosts("fallthrough").fallthrough, [Name::root()]);
    let zones = ["in-addr.arpa", "example.org"].map(|zone| Name::parse(zone).unwrap());
    assert_eq!(hosts("fallthrough in-addr.arpa example.org").fallthrough, zones);
    assert!(hosts("fallthrough_unsupported\nfallthrough").passes_other_types);
    for (reload, expected) in [("0", 0), ("0s", 0), ("1m30s", 90)] {
        let settings = load_on(HOSTS, &format!("hosts {{\n reload {reload}\n}}"));
        assert_eq!(settings.blocks[0].hosts.as_ref().unwrap().reload, Duration::from_secs(expected));
    }
}

#[test]
fn invalid_hosts_directives_are_rejected() {
    let option = |option: &str, reason: &str| (format!("hosts {{\n {option}\n}}"), reason.to_owned());
    let rejected = [
        option("ttl", &format!("{ARGUMENT_COUNT} 'ttl'")),
        option("ttl 5s", ":3 - Error during parsing: ttl needs a number of seconds, without a unit: '5s'"),
        option("ttl 0", "ttl provided is invalid: 0 is not 1 to 65535"),
        option("ttl 65536", "ttl provided is invalid: 65536 is not 1 to 65535"),
        option(
            "reload 5",
            "invalid duration for reload: time: missing unit in duration \"5\" (a number and one of ns us ms s m h)",
        ),
        option("reload -5s", "invalid negative duration for reload '-5s'"),
        option("no_reverse yes", &format!("{ARGUMENT_COUNT} 'yes'")),
        option("fallthrough_unsupported", "fallthrough_unsupported requires fallthrough"),
        option(
            "fallthrough\n192.0.2.1 www.test",
            ":4 - Error during parsing: unknown property '192.0.2.1'; write entries before 'fallthrough'",
        ),
        option("fallthrough\nwww.test 192.0.2.1", "unknown property 'www.test'"),
        option("falltrough", "unknown property 'falltrough'"),
        (
            "hosts {fallthrough".to_owned(),
            "missing space after '{' in '{fallthrough'; options are on lines of their own".to_owned(),
        ),
        (
            "hosts\nhosts".to_owned(),
            ":3 - Error during parsing: this plugin can only be used once per Server Block".to_owned(),
        ),
    ];
    for (lines, reason) in &rejected {
        assert_all_rejected("hosts", &[(lines, reason)]);
    }
}

#[test]
fn lines_that_are_no_entries_are_left_out_with_the_cause() {
    let warnings = |line: &str| load_on(HOSTS, &format!("hosts {{\n {line}\n}}")).warnings;
    for (line, cause) in [
        ("www.test 192.0.2.1", "'www.test' is not an IP address; the address comes before its names"),
        ("192.0.2.300 www.test", "'192.0.2.300' is neither an IP address nor an option"),
        ("192.0.2.1/32 www.test", "'192.0.2.1/32' is neither an IP address nor an option"),
        ("192.0.2.1", "no name follows the address 192.0.2.1"),
        ("192.0.2.1 bad..name", "what follows the address 192.0.2.1 is not a domain name"),
    ] {
        let expected = format!("{COREFILE}:3 - hosts: the line is ignored: {cause}");
        assert_eq!(warnings(line), [expected], "{line}");
    }
}

#[test]
fn a_missing_hosts_file_is_a_warning_if_it_is_named() {
    for (lines, file, hint) in [
        ("hosts", None, ""),
        ("hosts /run/none", Some("/run/none"), "it is read when it can be"),
        ("hosts relative", Some("/relative"), "it is read when it can be"),
        ("hosts /etc", Some("/etc"), "it is read when it can be"),
        ("hosts 192.0.2.1 www.test", Some("/192.0.2.1"), "an entry is written on a line between { and }"),
    ] {
        let settings = load_lines(lines).unwrap();
        let start = file.map(|file| format!("{COREFILE}:2 - cannot read the hosts file {file}: "));
        assert_eq!(settings.warnings.len(), usize::from(file.is_some()), "{:?}", settings.warnings);
        for (warning, start) in settings.warnings.iter().zip(start) {
            assert!(warning.starts_with(&start) && warning.ends_with(hint), "{warning}");
        }
        assert_eq!(settings.files.contents.values().collect::<Vec<_>>(), [&None]);
    }
}

#[test]
fn entries_and_options_of_hosts_are_part_of_the_fingerprint() {
    let fingerprint = |hosts, lines| load_on(hosts, &format!("cache\n{lines}")).blocks.remove(0).fingerprint;
    let same = fingerprint(HOSTS, "hosts");
    assert_eq!(same, fingerprint("# x\n127.0.0.1  localhost", "hosts {\n reload 1m\n}"));
    for (hosts, lines) in [
        (HOSTS, ""),
        ("", "hosts"),
        ("127.0.0.2 localhost", "hosts"),
        (HOSTS, "hosts {\n ttl 5\n}"),
        (HOSTS, "hosts {\n fallthrough\n}"),
        (HOSTS, "hosts {\n no_reverse\n}"),
        (HOSTS, "hosts /etc/hosts test"),
        (HOSTS, "hosts {\n 127.0.0.1 other\n}"),
    ] {
        assert!(fingerprint(hosts, lines) != same, "{hosts} {lines}");
    }
}
