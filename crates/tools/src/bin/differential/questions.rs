//! The questions: every name of the zones with existing and missing types, names next to and below
//! them, and the cluster's names with the candidates of a search list.

use std::collections::BTreeSet;

use testkit::cluster_zone::table::SERVICES;

use crate::zones::Zone;
use tools::question::Question;
use tools::rng::Rng;

/// Types to query, with or without records.
const TYPES: [&str; 22] = [
    "A",
    "AAAA",
    "MX",
    "TXT",
    "SRV",
    "CAA",
    "HTTPS",
    "SVCB",
    "NAPTR",
    "CNAME",
    "NS",
    "SOA",
    "PTR",
    "DS",
    "DNSKEY",
    "TLSA",
    "SSHFP",
    "LOC",
    "HINFO",
    "NSEC",
    "TYPE65280",
    "TYPE65534",
];

/// Names that are not hosts: missing names, wildcards, delegations, unusual labels.
const EDGE_CASES: [&str; 44] = [
    ".",
    "example.",
    "no-such-domain.",
    "www.no-such-domain.",
    "no-such-zone.example.",
    "no-such-host.shop.example.",
    "below.host-1.shop.example.",
    "empty.shop.example.",
    "c.empty.shop.example.",
    "b.c.empty.shop.example.",
    "x.b.c.empty.shop.example.",
    "anything.wild.shop.example.",
    "two.labels.wild.shop.example.",
    "below.known.wild.shop.example.",
    "WilD.wild.shop.example.",
    "*.wild.shop.example.",
    "some.to-host.shop.example.",
    "old.shop.example.",
    "host-1.old.shop.example.",
    "host-2.old.shop.example.",
    "no-such-host.old.shop.example.",
    "a.lame.shop.example.",
    "lame.shop.example.",
    "a.fails.example.",
    "b.fails.example.",
    "a.refuses.example.",
    "a.knows-not.example.",
    "a.empty.example.",
    "a.no-soa.example.",
    "a.nobody.example.",
    "no-such-host.signed.example.",
    "anything.wild.signed.example.",
    "c.empty.signed.example.",
    "no-such-host.bogus.example.",
    r"sp\032ace.wild.shop.example.",
    r"\000\001\127\255.wild.shop.example.",
    r"a\.b.wild.shop.example.",
    "-.wild.shop.example.",
    "_dns.wild.shop.example.",
    "1.2.0.192.in-addr.arpa.",
    "1.0.0.127.in-addr.arpa.",
    "localhost.",
    "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.wild.shop.example.",
    "xn--bcher-kva.shop.example.",
];

/// `count` distinct questions in random order.
pub(crate) fn questions(zones: &[Zone], count: usize, rng: &mut Rng) -> Vec<Question> {
    let mut questions: BTreeSet<Question> = BTreeSet::new();
    let mut names: Vec<String> = EDGE_CASES.map(str::to_owned).into();
    names.extend(cluster_names());
    for name in &names {
        questions.extend(["A", "AAAA", "SRV", "PTR"].into_iter().filter_map(|rtype| question(name, rtype)));
    }
    for (owner, types) in zones.iter().flat_map(|zone| &zone.owners) {
        questions.extend(types.iter().chain(&["A", "AAAA"]).filter_map(|rtype| question(owner, rtype)));
        names.push(owner.clone());
    }
    while questions.len() < count {
        let Some(name) = rng.choose(&names).cloned() else { break };
        let name = match rng.below(12) {
            0 => format!("{:x}.{name}", rng.next() & 0xffff),
            1 => format!("{}wild.shop.example.", name.trim_start_matches('.')),
            _ => name,
        };
        questions.extend(rng.choose(&TYPES).and_then(|rtype| question(&name, rtype)));
    }
    let mut questions: Vec<Question> = questions.into_iter().collect();
    rng.shuffle(&mut questions);
    questions.truncate(count);
    questions
}

fn question(name: &str, rtype: &str) -> Option<Question> {
    // Prefixes may make a name too long.
    (name.len() < 250).then(|| Question::new(name, rtype)).flatten()
}

/// Services, their ports, and the first candidates of a pod's search list.
fn cluster_names() -> Vec<String> {
    let mut names = Vec::new();
    for service in SERVICES {
        let name = format!("{}.{}.svc.cluster.local.", service.name, service.namespace);
        for port in service.ports.iter().filter(|port| !port.name.is_empty()) {
            names.push(format!("_{}._{}.{name}", port.name, port.protocol));
        }
        names.push(name);
    }
    for domain in ["default.svc.cluster.local.", "svc.cluster.local.", "cluster.local."] {
        names.extend(["host-1.shop.example", "www.google.com"].map(|name| format!("{name}.{domain}")));
        names.push(domain.to_owned());
    }
    names.extend(
        ["myweb-0", "myweb-1", "myweb-9"]
            .map(|pod| format!("{pod}.myweb-headless.default.svc.cluster.local.")),
    );
    names.extend(["1.0.233.10.in-addr.arpa.", "231.18.233.10.in-addr.arpa."].map(str::to_owned));
    names
}

#[cfg(test)]
mod tests {
    use tools::question::type_number;

    use super::*;
    use crate::zones::zones;

    #[test]
    fn every_type_of_the_zones_has_a_number() {
        let mut rng = Rng::new(1);
        let zones = zones(&mut rng);
        let types = zones.iter().flat_map(|zone| &zone.owners).flat_map(|(_, types)| types).chain(&TYPES);
        let unknown: Vec<_> = types.filter(|rtype| type_number(rtype).is_none()).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    #[test]
    fn questions_have_the_requested_count_and_are_deterministic() {
        let draw = || {
            let mut rng = Rng::new(1);
            let zones = zones(&mut rng);
            questions(&zones, 2400, &mut rng)
        };
        assert_eq!(draw().len(), 2400);
        assert!(draw() == draw());
    }
}
