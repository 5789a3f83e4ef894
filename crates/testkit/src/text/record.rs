//! Text to records.

use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::{A, AAAA, NULL};
use hickory_proto::rr::{RData, Record, RecordType};

use super::error::{TextError, error};
use super::token::{class, name, parse_hex, record_type};

const SEPARATOR: &str = "/";

/// Parses records and the section names between them into `message`.
pub(super) fn parse_sections(tokens: &[&str], message: &mut Message) -> Result<(), TextError> {
    let mut section = &mut message.answers;
    let mut rest = tokens;
    while let Some((&token, more)) = rest.split_first() {
        match token {
            SEPARATOR => rest = more,
            "authority:" => (section, rest) = (&mut message.authorities, more),
            "additional:" => (section, rest) = (&mut message.additionals, more),
            _ if token.ends_with(':') => return error(format!("`{token}` is not a section")),
            _ => {
                let end = rest.iter().position(|token| *token == SEPARATOR || token.ends_with(':'));
                let (record, more) = rest.split_at(end.unwrap_or(rest.len()));
                section.extend(parse_records(record)?);
                rest = more;
            }
        }
    }
    Ok(())
}

/// Owner, TTL, class unless it is IN, type, RDATA, and optionally a count.
fn parse_records(tokens: &[&str]) -> Result<Vec<Record>, TextError> {
    let (tokens, count) = match tokens.split_last() {
        Some((last, tokens)) if count(last).is_some() => (tokens, count(last)),
        _ => (tokens, None),
    };
    let [owner, ttl, tokens @ ..] = tokens else {
        return error(format!("`{}` is not a record", tokens.join(" ")));
    };
    let Ok(ttl) = ttl.parse() else { return error(format!("`{ttl}` is not a TTL")) };
    let (record_class, tokens) = match tokens {
        [first, tokens @ ..] if *first != "ANY" && class(first).is_ok() => (class(first)?, tokens),
        _ => (class("IN")?, tokens),
    };
    let [rtype, rdata @ ..] = tokens else { return error("a record without a type") };
    let mut record = Record::from_rdata(name(owner)?, ttl, parse_rdata(record_type(rtype)?, rdata)?);
    record.dns_class = record_class;
    match count {
        None => Ok(vec![record]),
        Some(count) => (0..count).map(|offset| with_address_offset(&record, offset)).collect(),
    }
}

fn count(token: &str) -> Option<u32> {
    token.strip_prefix('x')?.parse().ok()
}

fn parse_rdata(rtype: RecordType, tokens: &[&str]) -> Result<RData, TextError> {
    if let ["\\#", len, hex @ ..] = tokens {
        let anything = parse_hex(&hex.concat())?;
        if len.parse() != Ok(anything.len()) {
            return error(format!("`\\# {len}` is followed by {} octets", anything.len()));
        }
        return Ok(RData::Unknown { code: rtype, rdata: NULL::with(anything) });
    }
    let text = tokens.join(" ");
    RData::try_from_str(rtype, &text).map_err(|error| TextError(format!("`{rtype} {text}`: {error}")))
}

/// `record` with its address increased by `offset`.
fn with_address_offset(record: &Record, offset: u32) -> Result<Record, TextError> {
    let mut record = record.clone();
    record.data = match record.data {
        RData::A(A(first)) => RData::A(A(Ipv4Addr::from_bits(first.to_bits() + offset))),
        RData::AAAA(AAAA(first)) => {
            RData::AAAA(AAAA(Ipv6Addr::from_bits(first.to_bits() + u128::from(offset))))
        }
        _ => return error("only address records take a count"),
    };
    Ok(record)
}
