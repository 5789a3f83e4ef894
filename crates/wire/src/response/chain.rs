//! The CNAME chain of an answer section (RFC 1034 section 3.6.2): whether it reaches the QTYPE, and
//! which records are unrelated to the question.

use super::names::NameAt;
use crate::header::{Class, HEADER_LEN, RecordType};
use crate::name::compressed::{hash_name, is_at_or_below, same_name};
use crate::octets::u16_at;
use crate::record::Record;

/// CNAMEs that are followed. Resolvers give up between 8 and 16; a longer chain is relayed, but not
/// classified as positive.
const MAX_CNAMES: usize = 16;

/// DNAMEs from which an answer's CNAMEs may be synthesized (RFC 6672 section 3.1).
const MAX_DNAMES: usize = 4;

/// What the answer section contains for the question.
#[derive(Debug)]
pub(super) struct Chain {
    /// The chain leads from QNAME to a record of QTYPE, whatever the order of the records.
    pub(super) reaches_type: bool,
    /// QNAME and the targets of its CNAMEs.
    pub(super) names: Vec<NameAt>,
    /// Indices of the records that the chain does not include.
    pub(super) unrelated: Vec<u16>,
}

/// A record of the answer section: its index, and the hash of its owner.
struct AnswerRecord {
    index: u16,
    hash: u32,
    record: Record,
}

impl Chain {
    /// Follows the first `answers` records after the question without those at the indices `invalid`,
    /// which ascend: no answer has them, not even one to a query for ANY. The packet must be validated.
    pub(super) fn follow(packet: &[u8], question_end: usize, answers: u16, invalid: &[u16]) -> Option<Self> {
        if answers == 0 {
            let names = vec![NameAt::read(packet, HEADER_LEN)];
            return Some(Self { reaches_type: false, names, unrelated: Vec::new() });
        }
        let qtype = RecordType(u16_at(packet, question_end - 4)?);
        let qclass = Class(u16_at(packet, question_end - 2)?);
        let records = answer_records(packet, question_end, answers, invalid)?;
        let (names, is_unambiguous) = chain_names(packet, &records, qclass);
        let has_qtype = |answer: &AnswerRecord| {
            (answer.record.rtype == qtype || qtype == RecordType::ANY)
                && (answer.record.class == qclass || qclass == Class::ANY)
        };
        let ends_chain =
            |name: &NameAt| records.iter().any(|answer| has_qtype(answer) && answer.is_at(packet, *name));
        let reaches_type = is_unambiguous && names.iter().any(ends_chain);
        let unrelated = unrelated(packet, &records, &names);
        Some(Self { reaches_type, names, unrelated })
    }
}

impl AnswerRecord {
    fn is_at(&self, packet: &[u8], name: NameAt) -> bool {
        NameAt { hash: self.hash, at: self.record.owner }.is_same(packet, name)
    }
}

fn answer_records(
    packet: &[u8],
    question_end: usize,
    answers: u16,
    invalid: &[u16],
) -> Option<Vec<AnswerRecord>> {
    let mut at = question_end;
    let mut records = Vec::with_capacity(answers.into());
    for index in 0..answers {
        let record = Record::read_validated(packet, at)?;
        at = record.end;
        if invalid.binary_search(&index).is_err() {
            records.push(AnswerRecord { index, hash: hash_name(packet, record.owner), record });
        }
    }
    Some(records)
}

/// QNAME and the targets of the CNAMEs from there; false when the chain is ambiguous (two targets
/// of one name) or too long.
fn chain_names(packet: &[u8], records: &[AnswerRecord], qclass: Class) -> (Vec<NameAt>, bool) {
    let mut last = NameAt::read(packet, HEADER_LEN);
    let mut names = vec![last];
    loop {
        let is_next = |answer: &&AnswerRecord| {
            answer.record.rtype == RecordType::CNAME
                && (answer.record.class == qclass || qclass == Class::ANY)
                && answer.is_at(packet, last)
        };
        let mut targets = records.iter().filter(is_next).map(|answer| answer.record.rdata);
        let Some(target) = targets.next() else { return (names, true) };
        if targets.any(|other| !same_name(packet, target, other)) {
            return (names, false);
        }
        last = NameAt::read(packet, target);
        if names.iter().any(|name| name.is_same(packet, last)) {
            return (names, true);
        }
        names.push(last);
        if names.len() > MAX_CNAMES + 1 {
            return (names, false);
        }
    }
}

/// Records whose owner is not in the chain, except DNAMEs above a name of the chain and their
/// RRSIGs.
fn unrelated(packet: &[u8], records: &[AnswerRecord], names: &[NameAt]) -> Vec<u16> {
    let is_off_chain = |answer: &AnswerRecord| !names.iter().any(|name| answer.is_at(packet, *name));
    let is_dname = |answer: &&AnswerRecord| answer.record.rtype == RecordType::DNAME && is_off_chain(answer);
    let dnames: Vec<NameAt> = records
        .iter()
        .filter(is_dname)
        .take(MAX_DNAMES)
        .filter(|answer| names.iter().any(|name| is_at_or_below(packet, name.at, answer.record.owner)))
        .map(|answer| NameAt { hash: answer.hash, at: answer.record.owner })
        .collect();
    let is_unrelated = |answer: &&AnswerRecord| {
        let may_be_above = matches!(answer.record.rtype, RecordType::DNAME | RecordType::RRSIG);
        is_off_chain(answer) && !(may_be_above && dnames.iter().any(|dname| answer.is_at(packet, *dname)))
    };
    records.iter().filter(|answer| is_unrelated(answer)).map(|answer| answer.index).collect()
}
