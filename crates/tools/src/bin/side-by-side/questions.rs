//! The queries that every Corefile is asked: names of the cluster, of the outside and of private
//! zones, existing and missing, the candidates of a search list, and questions about the server; then
//! the Corefile's own names.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use tools::question::Question;
use tools::variants::VARIANTS;

use crate::fixture::Fixture;

/// Names and types.
const COMMON: [(&str, &str); 63] = [
    ("kubernetes.default.svc.cluster.local.", "A AAAA SRV TXT"),
    ("KuberNetes.Default.SVC.cluster.local.", "A"),
    ("_https._tcp.kubernetes.default.svc.cluster.local.", "SRV"),
    ("myweb-headless.default.svc.cluster.local.", "A AAAA SRV"),
    ("myweb-1.myweb-headless.default.svc.cluster.local.", "A"),
    ("_http._tcp.myweb-headless.default.svc.cluster.local.", "SRV"),
    ("google.default.svc.cluster.local.", "A AAAA CNAME"),
    ("kube-dns.kube-system.svc.cluster.local.", "A"),
    ("no-such-service.default.svc.cluster.local.", "A AAAA"),
    ("default.svc.cluster.local.", "A"),
    ("cluster.local.", "SOA NS A"),
    ("myweb-svc.default.svc.old.cluster.", "A"),
    ("www.example.default.svc.cluster.local.", "A AAAA"),
    ("www.example.svc.cluster.local.", "A AAAA"),
    ("www.example.cluster.local.", "A AAAA"),
    ("1.0.233.10.in-addr.arpa.", "PTR"),
    ("231.18.233.10.in-addr.arpa.", "PTR"),
    ("80.2.0.192.in-addr.arpa.", "PTR A"),
    ("9.9.9.10.in-addr.arpa.", "PTR"),
    ("1.0.0.127.in-addr.arpa.", "PTR"),
    ("8.b.d.0.1.0.0.2.ip6.arpa.", "PTR"),
    ("www.example.", "A AAAA TXT CAA HTTPS MX TYPE65280"),
    ("wWw.eXample.", "A"),
    ("v4.example.", "A AAAA"),
    ("v6.example.", "A AAAA"),
    ("zero.example.", "A"),
    ("short.example.", "A"),
    ("long.example.", "A"),
    ("mixed.example.", "A TXT"),
    ("alias.example.", "A AAAA CNAME"),
    ("chain-0.example.", "A AAAA"),
    ("example.", "MX TXT A SOA NS ANY"),
    ("_sip._tcp.example.", "SRV"),
    ("naptr.example.", "NAPTR"),
    ("tlsa.example.", "TLSA"),
    ("sshfp.example.", "SSHFP"),
    ("hinfo.example.", "HINFO"),
    ("unknown.example.", "TYPE65280 TYPE65534"),
    ("svcb.example.", "SVCB"),
    ("loc.example.", "LOC"),
    ("anything.wild.example.", "A TXT"),
    ("two.labels.wild.example.", "A"),
    ("x.to-host.example.", "A"),
    ("b.c.example.", "A"),
    ("host.sub.example.", "A"),
    ("big.example.", "TXT"),
    ("huge.example.", "A"),
    ("no-such-host.example.", "A AAAA MX"),
    ("no-such-domain.", "A"),
    ("www.google.com.", "A AAAA"),
    ("www.example.com.", "A AAAA"),
    ("example.com.", "A"),
    ("www.example.io.", "A"),
    ("www.corp.test.", "A AAAA"),
    ("intranet.corp.test.", "A"),
    ("no-such-host.corp.test.", "A"),
    ("a.fails.example.", "A"),
    ("a.refuses.example.", "A"),
    ("a.knows-not.example.", "A"),
    ("a.empty.example.", "A"),
    ("a.no-soa.example.", "A"),
    (".", "NS SOA"),
    ("localhost.", "A"),
];

/// Questions of class CH about the server.
const CHAOS: [&str; 5] =
    ["version.bind.", "version.server.", "authors.bind.", "hostname.bind.", "id.server."];

/// One query.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) server: SocketAddr,
    pub(crate) question: Question,
    /// Index of the variant.
    pub(crate) variant: usize,
    /// The same query has been sent before.
    pub(crate) repeated: bool,
    /// The answer may have been cached long before, so that its TTL depends on the time between.
    pub(crate) aged: bool,
}

/// The questions of a Corefile: the common ones and its own.
pub(crate) fn questions(fixture: &Fixture) -> Result<Vec<Question>, String> {
    let common = COMMON.iter().flat_map(|(name, types)| types.split(' ').map(move |rtype| (*name, rtype)));
    let own = fixture.questions.iter().cloned().map(Ok);
    common.map(|(name, rtype)| question(name, rtype)).chain(own).collect()
}

fn question(name: &str, rtype: &str) -> Result<Question, String> {
    Question::new(name, rtype).ok_or_else(|| format!("{name}: unknown type {rtype}"))
}

/// All queries of a Corefile in order. Each question is asked in two variants of transport, flags
/// and OPT, each of them twice, so that the second is a cache hit. Further addresses share caches
/// with the first one: they are asked the Corefile's own questions, and names of their own.
pub(crate) fn steps(fixture: &Fixture) -> Result<Vec<Step>, String> {
    let mut questions = questions(fixture)?;
    let (mut steps, mut asked) = (Vec::new(), BTreeSet::new());
    for (index, server) in fixture.servers.iter().enumerate() {
        for (number, question) in questions.iter().enumerate() {
            let aged = !asked.insert((question.name.to_lowercase(), question.rtype, question.class));
            steps.extend(variants(*server, question, number).map(|step| Step { aged, ..step }));
        }
        let common = questions.len().saturating_sub(fixture.questions.len());
        questions.drain(..common);
        questions.retain(|question| !question.name.starts_with("server-"));
        for zone in ["wild.example.", "default.svc.cluster.local."] {
            questions.extend(Question::new(&format!("server-{index}.{zone}"), "A"));
        }
    }
    Ok(steps)
}

/// Queries of class CH, which are sent when metrics have been read: our cache does not count them.
pub(crate) fn steps_in_chaos(fixture: &Fixture) -> Result<Vec<Step>, String> {
    let Some(server) = fixture.servers.first() else { return Ok(Vec::new()) };
    let mut steps = Vec::new();
    for (number, name) in CHAOS.iter().enumerate() {
        let question = question(name, "TXT")?.in_chaos();
        steps.extend(variants(*server, &question, number));
    }
    Ok(steps)
}

/// Two variants of a question by its number, each of them twice.
fn variants(server: SocketAddr, question: &Question, number: usize) -> impl Iterator<Item = Step> {
    let pairs = [number, number + 3].map(|number| number % VARIANTS.len());
    let pairs = pairs.into_iter().flat_map(|variant| [(variant, false), (variant, true)]);
    pairs.map(move |(variant, repeated)| Step {
        server,
        question: question.clone(),
        variant,
        repeated,
        aged: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_common_type_is_known() {
        assert!(questions(&Fixture::default()).unwrap().len() >= 100);
    }

    #[test]
    fn every_query_is_repeated() {
        let fixture = Fixture { servers: vec![([127, 0, 0, 1], 53).into()], ..Fixture::default() };
        let steps = steps(&fixture).unwrap();
        assert_eq!(steps.iter().filter(|step| step.repeated).count() * 2, steps.len());
    }
}
