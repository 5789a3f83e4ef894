//! Records from words.

use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::{A, AAAA, NULL};
use hickory_proto::rr::{RData, Record, RecordType};

use super::{TextError, class, error, name, parse_hex, record_type};

/// Between two records.
const SEPARATOR: &str = "/";

/// Reads records, with the names of sections between them, into `message`.
pub(super) fn parse_sections(words: &[&str], message: &mut Message) -> Result<(), TextError> {
    let mut section = &mut message.answers;
    let mut rest = words;
    while let Some((&word, more)) = rest.split_first() {
        match word {
            SEPARATOR => rest = more,
            "authority:" => (section, rest) = (&mut message.authorities, more),
            "additional:" => (section, rest) = (&mut message.additionals, more),
            _ if word.ends_with(':') => return error(format!("`{word}` is not a section")),
            _ => {
                let end = rest.iter().position(|word| *word == SEPARATOR || word.ends_with(':'));
                let (record, more) = rest.split_at(end.unwrap_or(rest.len()));
                section.extend(parse_records(record)?);
                rest = more;
            }
        }
    }
    Ok(())
}

/// Owner, TTL, class unless it is IN, type, RDATA, and perhaps how often.
fn parse_records(words: &[&str]) -> Result<Vec<Record>, TextError> {
    let (words, count) = match words.split_last() {
        Some((last, words)) if count(last).is_some() => (words, count(last)),
        _ => (words, None),
    };
    let [owner, ttl, words @ ..] = words else {
        return error(format!("`{}` is not a record", words.join(" ")));
    };
    let Ok(ttl) = ttl.parse() else { return error(format!("`{ttl}` is not a TTL")) };
    let (record_class, words) = match words {
        [first, words @ ..] if *first != "ANY" && class(first).is_ok() => (class(first)?, words),
        _ => (class("IN")?, words),
    };
    let [rtype, rdata @ ..] = words else { return error("a record without a type") };
    let mut record = Record::from_rdata(name(owner)?, ttl, parse_rdata(record_type(rtype)?, rdata)?);
    record.dns_class = record_class;
    match count {
        None => Ok(vec![record]),
        Some(count) => (0..count).map(|step| further(&record, step)).collect(),
    }
}

fn count(word: &str) -> Option<u32> {
    word.strip_prefix('x')?.parse().ok()
}

fn parse_rdata(rtype: RecordType, words: &[&str]) -> Result<RData, TextError> {
    if let ["\\#", len, hex @ ..] = words {
        let anything = parse_hex(&hex.concat())?;
        if len.parse() != Ok(anything.len()) {
            return error(format!("`\\# {len}` is followed by {} octets", anything.len()));
        }
        return Ok(RData::Unknown { code: rtype, rdata: NULL::with(anything) });
    }
    let text = words.join(" ");
    RData::try_from_str(rtype, &text).map_err(|error| TextError(format!("`{rtype} {text}`: {error}")))
}

/// `record` with the address that is `step` after its own.
fn further(record: &Record, step: u32) -> Result<Record, TextError> {
    let mut record = record.clone();
    record.data = match record.data {
        RData::A(A(first)) => RData::A(A(Ipv4Addr::from_bits(first.to_bits() + step))),
        RData::AAAA(AAAA(first)) => {
            RData::AAAA(AAAA(Ipv6Addr::from_bits(first.to_bits() + u128::from(step))))
        }
        _ => return error("only addresses can be counted up"),
    };
    Ok(record)
}
