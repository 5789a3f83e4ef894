//! DNS messages as words, both ways, through hickory-proto: a second opinion on what `wire` reads and writes.
//!
//! ```text
//! NXDOMAIN aa ra edns=1232,do,ede=22 www.example.test 30 A 192.0.2.7 x3 / … authority: example.test 25 SOA …
//! ```
//!
//! First the response code, flags (`aa=0` clears one that is set by default), `opcode=4` and OPT (`edns` is short
//! for `edns=1232`, `do` for `edns=1232,do`, and `edns=none` takes it away); then records, one after another with
//! ` / ` between them, in the answer section until `authority:` or `additional:` comes. `x40` after an address
//! stands for forty records with one address after another. RDATA without a presentation form is written as RFC
//! 3597 section 5 has it, `\# 4 0a000001`. Words are parted by single spaces, inside character strings too.

mod format;
mod opt;
mod record;

use std::fmt;
use std::str::FromStr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::{DNSClass, Name, RecordType};

pub use format::format;

/// Why words are not a message; names the word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextError(pub(crate) String);

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TextError {}

pub(crate) fn error<T>(what: impl Into<String>) -> Result<T, TextError> {
    Err(TextError(what.into()))
}

/// Response codes by the words operators know them by (RFC 6895 section 2.3).
const RCODES: [(u16, &str); 12] = [
    (0, "NOERROR"),
    (1, "FORMERR"),
    (2, "SERVFAIL"),
    (3, "NXDOMAIN"),
    (4, "NOTIMP"),
    (5, "REFUSED"),
    (6, "YXDOMAIN"),
    (7, "YXRRSET"),
    (8, "NXRRSET"),
    (9, "NOTAUTH"),
    (10, "NOTZONE"),
    (16, "BADVERS"),
];

/// TC in the third octet of a header (RFC 1035 section 4.1.1).
const TC: u8 = 0x02;

/// The number of a response code.
pub(crate) fn rcode(word: &str) -> Result<u16, TextError> {
    let known = RCODES.iter().find(|(_, mnemonic)| *mnemonic == word);
    known.map_or_else(|| error(format!("`{word}` is not a response code")), |&(number, _)| Ok(number))
}

/// Changes `message` as `words` say: what they do not mention stays.
///
/// # Errors
/// The first word that is not understood.
pub fn parse(words: &[&str], mut message: Message) -> Result<Message, TextError> {
    let mut rest = words;
    while let Some((&word, more)) = rest.split_first() {
        if word.contains('.') && !word.contains('=') || word.ends_with(':') {
            record::parse_sections(rest, &mut message)?;
            break;
        }
        parse_header_word(word, &mut message)?;
        rest = more;
    }
    Ok(message)
}

fn parse_header_word(word: &str, message: &mut Message) -> Result<(), TextError> {
    if let Ok(number) = rcode(word) {
        message.metadata.response_code = number.into();
        return Ok(());
    }
    match word.split_once('=') {
        Some(("opcode", number)) => match number.parse() {
            Ok(number) => message.metadata.op_code = OpCode::from_u8(number),
            Err(_) => return error(format!("`{word}`: the opcode is a number up to 15")),
        },
        Some(("edns", words)) => message.edns = opt::parse(words)?,
        Some((flag, "0")) => return set_flag(flag, false, message),
        _ if word == "edns" => message.edns = Some(plain_opt()),
        _ if word == "do" => drop(message.edns.get_or_insert_with(plain_opt).set_dnssec_ok(true)),
        _ => return set_flag(word, true, message),
    }
    Ok(())
}

fn set_flag(flag: &str, on: bool, message: &mut Message) -> Result<(), TextError> {
    let metadata = &mut message.metadata;
    match flag {
        "qr" => metadata.message_type = if on { MessageType::Response } else { MessageType::Query },
        "aa" => metadata.authoritative = on,
        "tc" => metadata.truncation = on,
        "rd" => metadata.recursion_desired = on,
        "ra" => metadata.recursion_available = on,
        "ad" => metadata.authentic_data = on,
        "cd" => metadata.checking_disabled = on,
        _ => return error(format!("`{flag}` is no response code, flag or name with a dot")),
    }
    Ok(())
}

/// OPT as careful senders have it: a payload of 1232 octets (RFC 9715 section 3.1) and nothing else.
pub fn plain_opt() -> Edns {
    let mut edns = Edns::new();
    edns.set_max_payload(1232);
    edns
}

/// Reads a question: name, type and, unless it is IN, class.
///
/// # Errors
/// The word that is wrong or missing.
pub fn parse_question(words: &[&str]) -> Result<Query, TextError> {
    let (name, qtype, class) = match *words {
        [name, qtype] => (name, qtype, "IN"),
        [name, qtype, class] => (name, qtype, class),
        _ => return error(format!("`{}` is not a name, a type and perhaps a class", words.join(" "))),
    };
    let mut query = Query::query(self::name(name)?, record_type(qtype)?);
    query.query_class = self::class(class)?;
    Ok(query)
}

pub(crate) fn name(word: &str) -> Result<Name, TextError> {
    let bad = |why: &dyn fmt::Display| TextError(format!("`{word}` is not a name: {why}"));
    let name = match labels(word) {
        _ if !word.contains('\\') => Name::from_ascii(word),
        Some(labels) => Name::from_labels(labels),
        None => return Err(bad(&"an escape that is none")),
    };
    name.map(|mut name| {
        name.set_fqdn(true);
        name
    })
    .map_err(|error| bad(&error))
}

/// The labels of a name with escapes (RFC 4343 section 2.1), of which hickory-proto reads none that stand for octets
/// without a shape; nothing when an escape is none.
fn labels(word: &str) -> Option<Vec<Vec<u8>>> {
    let mut labels = vec![Vec::new()];
    let mut octets = word.bytes();
    while let Some(octet) = octets.next() {
        let literal = match octet {
            b'.' => {
                labels.push(Vec::new());
                continue;
            }
            b'\\' => match octets.next()? {
                hundreds @ b'0'..=b'9' => {
                    let digits = [hundreds, octets.next()?, octets.next()?];
                    str::from_utf8(&digits).ok()?.parse().ok()?
                }
                escaped => escaped,
            },
            octet => octet,
        };
        labels.last_mut()?.push(literal);
    }
    labels.pop_if(|last| last.is_empty());
    Some(labels)
}

pub(crate) fn record_type(word: &str) -> Result<RecordType, TextError> {
    if let Some(number) = word.strip_prefix("TYPE").and_then(|number| number.parse::<u16>().ok()) {
        return Ok(RecordType::from(number));
    }
    match word {
        "AXFR" => Ok(RecordType::AXFR),
        "IXFR" => Ok(RecordType::IXFR),
        _ => RecordType::from_str(word).map_err(|_| TextError(format!("`{word}` is not a record type"))),
    }
}

pub(crate) fn class(word: &str) -> Result<DNSClass, TextError> {
    if let Some(number) = word.strip_prefix("CLASS").and_then(|number| number.parse::<u16>().ok()) {
        return Ok(DNSClass::from(number));
    }
    DNSClass::from_str(word).map_err(|_| TextError(format!("`{word}` is not a class")))
}

/// Octets from hexadecimal digits; `_` between them is for the eye.
///
/// # Errors
/// A digit that is none, or half an octet.
pub fn parse_hex(hex: &str) -> Result<Vec<u8>, TextError> {
    let digits: Vec<u32> = hex
        .chars()
        .filter(|&digit| digit != '_')
        .map(|digit| digit.to_digit(16).ok_or_else(|| TextError(format!("`{digit}` is not hexadecimal"))))
        .collect::<Result<_, _>>()?;
    let (pairs, half) = digits.as_chunks::<2>();
    if !half.is_empty() {
        return error("half an octet at the end");
    }
    let octet = |&[high, low]: &[u32; 2]| u8::try_from(high * 16 + low);
    pairs.iter().map(octet).collect::<Result<_, _>>().map_err(|_| TextError("not an octet".to_owned()))
}

/// The message as octets, names compressed.
///
/// # Errors
/// What hickory-proto refuses to write, or what it would cut off.
pub fn encode(message: &Message) -> Result<Vec<u8>, TextError> {
    let octets = message.to_vec().map_err(|error| TextError(format!("cannot be encoded: {error}")))?;
    let cut = octets.get(2).is_some_and(|flags| flags & TC != 0) && !message.metadata.truncation;
    if cut { error("more records than a message can hold") } else { Ok(octets) }
}

/// The message that octets hold.
///
/// # Errors
/// What hickory-proto refuses to read.
pub fn decode(octets: &[u8]) -> Result<Message, TextError> {
    let hex = || octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    Message::from_vec(octets).map_err(|error| TextError(format!("{error}, in {}", hex())))
}
