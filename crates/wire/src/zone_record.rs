//! Resource records in presentation format: a line of a zone file (RFC 1035 section 5.1), and
//! responses with such records. Off the path of a cache hit.

use std::str::FromStr;

use hickory_proto::rr::rdata::{CNAME, MX, NS, NULL, PTR, SOA, SRV, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use hickory_proto::serialize::txt::parse_ttl;

use crate::header::Rcode;
use crate::response::Response;
use crate::{encode, name};

/// TTL in seconds of a record without one, as in CoreDNS.
const DEFAULT_TTL: u32 = 3600;

/// Maximum octets of a character string (RFC 1035 section 3.3); a longer text is several of them.
const MAX_STRING: usize = 255;

/// A record read from presentation format.
#[derive(Clone, Debug, PartialEq)]
pub struct ZoneRecord(Record);

/// The sections of a response.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sections<'r> {
    /// Answer section.
    pub answers: &'r [ZoneRecord],
    /// Authority section.
    pub authorities: &'r [ZoneRecord],
    /// Additional section.
    pub additionals: &'r [ZoneRecord],
}

/// A word of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Word<'t> {
    /// With its escapes, without its quotes.
    text: &'t str,
    is_quoted: bool,
}

impl ZoneRecord {
    /// Parses `OWNER [TTL] [CLASS] TYPE RDATA`; TTL and CLASS in either order, 3600 and IN by
    /// default. Names are absolute with or without the trailing dot. RDATA may be generic
    /// (`\# LENGTH HEXADECIMAL`, RFC 3597). `None` for anything else, more than one record and
    /// control entries such as `$INCLUDE` among it.
    pub fn parse(line: &str) -> Option<Self> {
        let words = words(line)?;
        let [owner, rest @ ..] = &*words else { return None };
        if owner.is_quoted || owner.text.starts_with('$') {
            return None;
        }
        let (mut ttl, mut class, mut rest) = (None, None, rest);
        loop {
            let [word, after @ ..] = rest else { return None };
            rest = after;
            let upper = word.text.to_ascii_uppercase();
            if let (None, Ok(seconds)) = (ttl, parse_ttl(word.text)) {
                ttl = Some(seconds);
            } else if let (None, Ok(parsed)) = (class, DNSClass::from_str(&upper)) {
                class = Some(parsed);
            } else {
                let rtype = RecordType::from_str(&upper).ok()?;
                let data = rdata(rtype, rest)?;
                let mut record = Record::from_rdata(read_name(owner.text)?, ttl.unwrap_or(DEFAULT_TTL), data);
                record.dns_class = class.unwrap_or(DNSClass::IN);
                return Some(Self(record));
            }
        }
    }

    /// True for a CNAME.
    pub fn is_cname(&self) -> bool {
        self.0.record_type() == RecordType::CNAME
    }
}

/// A response with AA to a question (QNAME, QTYPE, QCLASS as octets); `rcode` has four bits.
///
/// `None` for octets that are no question, and for records that no message holds.
pub fn response(question: &[u8], rcode: Rcode, sections: Sections<'_>) -> Option<Response<'static>> {
    let records = |records: &[ZoneRecord]| records.iter().map(|ZoneRecord(record)| record.clone()).collect();
    let Sections { answers, authorities, additionals } = sections;
    encode::response(question, rcode, |_| Some([answers, authorities, additionals].map(records)))
}

/// The words of a line. Parentheses group it over line ends, `;` begins a comment.
fn words(text: &str) -> Option<Vec<Word<'_>>> {
    let (mut words, mut depth, mut rest) = (Vec::new(), 0_usize, text.trim());
    while let Some(first) = rest.chars().next() {
        let after = rest.get(first.len_utf8()..)?;
        rest = match first {
            '(' => {
                depth += 1;
                after
            }
            ')' => {
                depth = depth.checked_sub(1)?;
                after
            }
            ';' => after.find('\n').and_then(|end| after.get(end..)).unwrap_or_default(),
            // What follows is another record, if anything.
            '\n' if depth == 0 => return after.trim().is_empty().then_some(words),
            '"' => {
                let (text, after) = after.split_at_checked(end_of(after, |c| c == '"'))?;
                words.push(Word { text, is_quoted: true });
                after.strip_prefix('"')?
            }
            space if space.is_ascii_whitespace() => after,
            _ => {
                let is_end = |c: char| c.is_ascii_whitespace() || matches!(c, '(' | ')' | ';' | '"');
                let (text, after) = rest.split_at_checked(end_of(rest, is_end))?;
                words.push(Word { text, is_quoted: false });
                after
            }
        };
    }
    (depth == 0).then_some(words)
}

/// The position of the first character that ends a word and is not escaped.
fn end_of(text: &str, is_end: impl Fn(char) -> bool) -> usize {
    let mut is_escaped = false;
    for (at, char) in text.char_indices() {
        if !is_escaped && is_end(char) {
            return at;
        }
        is_escaped = char == '\\' && !is_escaped;
    }
    text.len()
}

fn rdata(rtype: RecordType, words: &[Word<'_>]) -> Option<RData> {
    if let [Word { text: r"\#", .. }, length, data @ ..] = words {
        return generic(rtype, length, data);
    }
    Some(match (rtype, words) {
        (RecordType::CNAME, [target]) => RData::CNAME(CNAME(read_name(target.text)?)),
        (RecordType::NS, [target]) => RData::NS(NS(read_name(target.text)?)),
        (RecordType::PTR, [target]) => RData::PTR(PTR(read_name(target.text)?)),
        (RecordType::MX, [preference, exchange]) => {
            RData::MX(MX::new(number(preference)?, read_name(exchange.text)?))
        }
        (RecordType::SRV, [priority, weight, port, target]) => {
            let (priority, weight, port) = (number(priority)?, number(weight)?, number(port)?);
            RData::SRV(SRV::new(priority, weight, port, read_name(target.text)?))
        }
        (RecordType::SOA, [mname, rname, serial, refresh, retry, expire, minimum]) => {
            let seconds = |word: &Word<'_>| i32::try_from(parse_ttl(word.text).ok()?).ok();
            let (mname, rname) = (read_name(mname.text)?, read_name(rname.text)?);
            let (refresh, retry, expire) = (seconds(refresh)?, seconds(retry)?, seconds(expire)?);
            let (serial, minimum) = (serial.text.parse().ok()?, parse_ttl(minimum.text).ok()?);
            RData::SOA(SOA::new(mname, rname, serial, refresh, retry, expire, minimum))
        }
        (RecordType::TXT, [_, ..]) => text(words)?,
        // They have a parser of their own above.
        (
            RecordType::CNAME
            | RecordType::NS
            | RecordType::PTR
            | RecordType::MX
            | RecordType::SRV
            | RecordType::SOA
            | RecordType::TXT,
            _,
        ) => return None,
        _ => {
            let quoted = |word: &Word<'_>| match word.is_quoted {
                true => format!("\"{}\"", word.text),
                false => word.text.to_owned(),
            };
            let line: Vec<String> = words.iter().map(quoted).collect();
            RData::try_from_str(rtype, &line.join(" ")).ok()?
        }
    })
}

/// RDATA in hexadecimal (RFC 3597 section 5).
fn generic(rtype: RecordType, length: &Word<'_>, data: &[Word<'_>]) -> Option<RData> {
    let digits: String = data.iter().map(|word| word.text).collect();
    let pairs = digits.as_bytes().chunks(2);
    let octets = pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    let octets: Vec<u8> = octets.collect::<Option<_>>()?;
    let is_whole = digits.len().is_multiple_of(2) && length.text.parse() == Ok(octets.len());
    is_whole.then(|| RData::Unknown { code: rtype, rdata: NULL::with(octets) })
}

/// Character strings.
fn text(words: &[Word<'_>]) -> Option<RData> {
    let texts = words.iter().map(|word| unescape(word.text)).collect::<Option<Vec<_>>>()?;
    let mut strings: Vec<&[u8]> = Vec::new();
    for text in &texts {
        match text.as_slice() {
            [] => strings.push(&[]),
            text => strings.extend(text.chunks(MAX_STRING)),
        }
    }
    Some(RData::TXT(TXT::from_bytes(strings)))
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let (mut octets, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while !rest.is_empty() {
        let octet;
        (octet, rest) = name::read_octet(rest).ok()?;
        octets.push(octet);
    }
    Some(octets)
}

fn number(word: &Word<'_>) -> Option<u16> {
    word.text.parse().ok()
}

fn read_name(text: &str) -> Option<Name> {
    if text == "@" {
        return Some(Name::root());
    }
    Name::read(&mut BinDecoder::new(&name::parse_wire(text).ok()?)).ok()
}
