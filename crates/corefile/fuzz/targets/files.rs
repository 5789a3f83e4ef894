//! Files that a Corefile names give what a plain reader of their lines finds, or an error with the file
//! and a line of it: hosts files, resolv.conf, weight files and the ConfigMap of kube-dns. The first
//! octet chooses the file.
#![no_main]

#[path = "../../tests/language/fake_host.rs"]
mod fake_host;
mod options;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use corefile::options::DEFAULT_BASE_COREFILE;
use corefile::settings::Settings;
use corefile::{ConfigErrors, Environment, upstream_files};
use fake_host::FakeHost;
use libfuzzer_sys::fuzz_target;
use options::{COREFILE, options};
use resolver::policy::{AddressWeights, HostsTable, LocalPlugin};
use wire::name::Name;

const HOSTS: &str = "/etc/nodelocaldns/hosts";
const RESOLV_CONF: &str = "/run/resolv.conf";
const WEIGHTS: &str = "/etc/nodelocaldns/weights";
const STUB_DOMAINS: &str = "/etc/kube-dns/stubDomains";
const UPSTREAM_NAMESERVERS: &str = "/etc/kube-dns/upstreamNameservers";
const TEMPLATE: &str = ".:53 {\n bind __PILLAR__LOCAL__DNS__\n forward . __PILLAR__UPSTREAM__SERVERS__\n}\n";
/// Octets of the longest field of a hosts file.
const MAX_FIELD_LEN: usize = 1024;
/// Addresses of a resolv.conf that are used.
const MAX_NAMESERVERS: usize = 15;

fn load(files: &[(&str, &str)]) -> Result<Settings, ConfigErrors> {
    corefile::load(&options(), &Environment::default(), &FakeHost::with(files))
}

/// The lines of a file, numbered from 1.
fn lines(text: &str) -> impl Iterator<Item = (usize, Vec<&str>)> {
    (1..).zip(text.split('\n').map(|line| line.split_whitespace().collect()))
}

/// The number of the line in the first line of an error, after `file`.
fn line_of(error: &str, file: &str) -> usize {
    let (_, rest) = error.split_once(&format!("{file}:")).unwrap_or_else(|| panic!("{error} names no file"));
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("{error} names no line"))
}

fn hosts(text: &str) {
    let settings = load(&[(COREFILE, &format!(". {{\n hosts {HOSTS}\n}}\n")), (HOSTS, text)]);
    let settings = settings.unwrap_or_else(|errors| panic!("a hosts file is never rejected: {errors}"));
    let mut expected = HostsTable::default();
    let mut too_long = 0;
    for line in text.split('\n') {
        let fields = line.split('#').next().unwrap_or_default().split_whitespace();
        too_long += usize::from(fields.clone().any(|field| field.len() > MAX_FIELD_LEN));
        let mut fields = fields.filter(|field| field.len() <= MAX_FIELD_LEN);
        let Some((text, zone)) = fields.next().map(|field| field.split_once('%').map_or((field, None), |(a, z)| (a, Some(z))))
        else {
            continue;
        };
        let Ok(address) = text.parse::<IpAddr>() else { continue };
        if zone.is_some() && address.is_ipv4() {
            continue;
        }
        for name in fields.filter_map(|field| Name::parse(field).ok()) {
            expected.add(&name, address);
            expected.add_reverse(address, &name);
        }
    }
    let block = &settings.blocks[0];
    let tables: Vec<&HostsTable> = block
        .plugins
        .iter()
        .filter_map(|plugin| if let LocalPlugin::Hosts(hosts) = plugin { Some(&hosts.table) } else { None })
        .collect();
    assert_eq!(tables, [&expected]);
    assert_eq!(block.hosts.as_ref().map(|file| file.entries), Some(expected.entries()));
    assert_eq!(settings.warnings.len(), too_long, "{:?}", settings.warnings);
}

fn resolv_conf(text: &str) {
    let host = FakeHost::with(&[(RESOLV_CONF, text)]);
    let found = upstream_files::read(Path::new(RESOLV_CONF), &host).unwrap();
    let listed: BTreeMap<usize, Vec<&str>> =
        lines(text).filter(|(_, words)| words.first() == Some(&"nameserver")).collect();
    assert_eq!(found.addresses.len(), found.lines.len());
    assert!(found.lines.is_sorted_by(|one, next| one < next));
    assert!(found.addresses.len() <= MAX_NAMESERVERS);
    for (address, line) in found.addresses.iter().zip(&found.lines) {
        let word = listed[line][1];
        let (ip, zone) = word.split_once('%').map_or((word, None), |(ip, zone)| (ip, Some(zone)));
        assert_eq!(Ok(address.ip()), ip.parse(), "line {line}");
        assert_eq!(address.port(), 53);
        assert!(zone.is_none() || address.is_ipv6());
    }
    // Each line is used, repeats an address, or has a warning; those behind the limit have one for all.
    let is_known = |words: &[&str]| {
        let word = words.get(1).and_then(|word| word.split('%').next()).unwrap_or_default();
        word.parse().is_ok_and(|ip: IpAddr| found.addresses.iter().any(|known| known.ip() == ip))
    };
    let warned: Vec<usize> = found
        .warnings
        .iter()
        .filter(|warning| !warning.ends_with(" lists no nameserver"))
        .map(|warning| line_of(warning, RESOLV_CONF))
        .collect();
    let is_cut = found.addresses.len() == MAX_NAMESERVERS;
    for (line, words) in &listed {
        assert!(is_cut || is_known(words) || warned.contains(line), "line {line} is lost");
    }
    assert!(warned.iter().all(|line| listed.contains_key(line)));
    let corefile = format!(". {{\n forward . {RESOLV_CONF}\n}}\n");
    match load(&[(COREFILE, &corefile), (RESOLV_CONF, text)]) {
        Ok(settings) => {
            let upstreams: &Vec<SocketAddr> = &settings.blocks[0].forwards[0].upstreams;
            assert!(upstreams.iter().all(|upstream| found.addresses.contains(upstream)));
        }
        Err(errors) => {
            assert!(errors.to_string().starts_with("plugin/forward: /etc/coredns/Corefile:2 - "), "{errors}");
        }
    }
}

fn weights(text: &str) {
    let corefile = format!(". {{\n loadbalance weighted {WEIGHTS}\n}}\n");
    let loaded = load(&[(COREFILE, &corefile), (WEIGHTS, text)]);
    let (mut expected, mut owner, mut invalid) = (AddressWeights::default(), None, None);
    for (line, words) in lines(text).filter(|(_, words)| words.first().is_some_and(|word| !word.starts_with('#'))) {
        let is_valid = match *words {
            [name] => {
                owner = Name::parse(name).ok().filter(|_| name.parse::<IpAddr>().is_err());
                owner.is_some()
            }
            [address, weight] => match (&owner, address.parse(), weight.parse()) {
                (Some(owner), Ok(address), Ok(weight)) => {
                    expected.add(owner, address, weight);
                    true
                }
                _ => false,
            },
            _ => false,
        };
        if !is_valid {
            invalid = Some(line);
            break;
        }
    }
    match loaded {
        Ok(settings) => {
            assert_eq!(invalid, None);
            let weights = settings.blocks[0].load_balance.as_ref().and_then(|options| options.weights.clone());
            assert_eq!(weights.as_deref(), Some(&expected));
        }
        Err(errors) => assert_eq!(Some(line_of(&errors.to_string(), WEIGHTS)), invalid, "{errors}"),
    }
}

/// Errors name the file; a stub domain is a server block.
fn kube_dns(file: &str, text: &str) {
    match load(&[(DEFAULT_BASE_COREFILE, TEMPLATE), (file, text)]) {
        Ok(settings) if file == STUB_DOMAINS => {
            let json: serde_json::Value = serde_json::from_str(text).expect("accepted as JSON");
            let domains = json.as_object().map_or(0, |domains| domains.len());
            assert_eq!(settings.blocks.len(), 1 + domains);
        }
        Ok(settings) => {
            let json: serde_json::Value = serde_json::from_str(text).expect("accepted as JSON");
            let servers = json.as_array().map_or(0, Vec::len);
            assert!(servers <= 3);
            let upstreams = &settings.blocks[0].forwards[0].upstreams;
            assert_eq!(upstreams.len(), servers.max(1));
        }
        Err(errors) => assert!(errors.to_string().contains("/etc/"), "{errors}"),
    }
}

fuzz_target!(|text: &str| {
    let mut characters = text.chars();
    match characters.next() {
        Some('h') => hosts(characters.as_str()),
        Some('r') => resolv_conf(characters.as_str()),
        Some('w') => weights(characters.as_str()),
        Some('s') => kube_dns(STUB_DOMAINS, characters.as_str()),
        Some('u') => kube_dns(UPSTREAM_NAMESERVERS, characters.as_str()),
        _ => {}
    }
});
