//! The CNAME chain of an answer (RFC 1034 section 3.6.2): whether it leads to what was asked for, and what does not
//! belong to it.

use crate::header::{Class, HEADER_LEN, RecordType};
use crate::name::compressed::{hash_name, parent, same_name};
use crate::octets::u16_at;
use crate::record::Record;

/// CNAMEs we follow. Resolvers give up between 8 and 16; a longer chain is relayed, but not called an answer.
const MAX_CHAIN: usize = 16;

/// DNAMEs an answer may owe its CNAMEs to (RFC 6672 section 3.1).
const MAX_DNAMES: usize = 4;

/// What the answer section comes to.
#[derive(Debug, Default)]
pub(super) struct Chain {
    /// It leads from the question's name to a record of its type, in whatever order its records stand.
    pub(super) reaches_type: bool,
    /// Its records that the question does not lead to, by place.
    pub(super) strays: Vec<u16>,
}

/// A record of the answer section, with what tells its owner from most others.
struct Link {
    hash: u32,
    record: Record,
}

/// A name that the question leads to.
#[derive(Clone, Copy)]
struct Step {
    hash: u32,
    at: usize,
}

impl Chain {
    /// Follows the first `answers` records behind the question. The packet was walked before.
    pub(super) fn follow(packet: &[u8], question_end: usize, answers: u16) -> Option<Self> {
        if answers == 0 {
            return Some(Self::default());
        }
        let qtype = RecordType(u16_at(packet, question_end - 4)?);
        let qclass = Class(u16_at(packet, question_end - 2)?);
        let links = links(packet, question_end, answers)?;
        let (names, is_clear) = names(packet, &links, qclass);
        let is_wanted = |link: &Link| {
            (link.record.rtype == qtype || qtype == RecordType::ANY)
                && (link.record.class == qclass || qclass == Class::ANY)
        };
        let wanted_at = |step: &Step| links.iter().any(|link| is_wanted(link) && link.is_at(packet, *step));
        let reaches_type = is_clear && names.iter().any(wanted_at);
        Some(Self { reaches_type, strays: strays(packet, &links, &names) })
    }
}

impl Link {
    fn is_at(&self, packet: &[u8], step: Step) -> bool {
        self.hash == step.hash && same_name(packet, self.record.owner, step.at)
    }
}

fn links(packet: &[u8], question_end: usize, answers: u16) -> Option<Vec<Link>> {
    let mut at = question_end;
    let links = (0..answers).map(|_| {
        let record = Record::reread(packet, at)?;
        at = record.end;
        Some(Link { hash: hash_name(packet, record.owner), record })
    });
    links.collect()
}

/// The names from the question's on, one CNAME after another; false when it is not clear where they lead: two targets of
/// one name, or too many names.
fn names(packet: &[u8], links: &[Link], qclass: Class) -> (Vec<Step>, bool) {
    let mut last = Step { hash: hash_name(packet, HEADER_LEN), at: HEADER_LEN };
    let mut names = vec![last];
    loop {
        let is_next = |link: &&Link| {
            link.record.rtype == RecordType::CNAME
                && (link.record.class == qclass || qclass == Class::ANY)
                && link.is_at(packet, last)
        };
        let mut targets = links.iter().filter(is_next).map(|link| link.record.rdata);
        let Some(target) = targets.next() else { return (names, true) };
        if targets.any(|other| !same_name(packet, target, other)) {
            return (names, false);
        }
        last = Step { hash: hash_name(packet, target), at: target };
        if names.iter().any(|name| name.hash == last.hash && same_name(packet, name.at, last.at)) {
            return (names, true);
        }
        names.push(last);
        if names.len() > MAX_CHAIN + 1 {
            return (names, false);
        }
    }
}

/// Records at names that the question does not lead to. Above those names there may be a DNAME and its signature.
fn strays(packet: &[u8], links: &[Link], names: &[Step]) -> Vec<u16> {
    let is_off = |link: &Link| !names.iter().any(|name| link.is_at(packet, *name));
    let is_dname = |link: &&Link| link.record.rtype == RecordType::DNAME && is_off(link);
    let dnames: Vec<Step> = links
        .iter()
        .filter(is_dname)
        .take(MAX_DNAMES)
        .filter(|link| names.iter().any(|name| is_above(packet, link.record.owner, name.at)))
        .map(|link| Step { hash: link.hash, at: link.record.owner })
        .collect();
    let is_stray = |link: &Link| {
        let above = matches!(link.record.rtype, RecordType::DNAME | RecordType::RRSIG);
        is_off(link) && !(above && dnames.iter().any(|dname| link.is_at(packet, *dname)))
    };
    (0..).zip(links).filter(|(_, link)| is_stray(link)).map(|(place, _)| place).collect()
}

/// True when the name at `upper` is an ancestor of the one at `lower`.
fn is_above(packet: &[u8], upper: usize, lower: usize) -> bool {
    let mut at = lower;
    while let Some(above) = parent(packet, at) {
        if same_name(packet, above, upper) {
            return true;
        }
        at = above;
    }
    false
}
