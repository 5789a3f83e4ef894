//! Tokens: response codes, names, types, classes, hexadecimal octets.

use std::fmt;
use std::str::FromStr;

use hickory_proto::rr::{DNSClass, Name, RecordType};
use wire::header::Rcode;

use super::error::{TextError, error};

/// The number of a response code.
pub(crate) fn rcode(token: &str) -> Result<u16, TextError> {
    Rcode::from_mnemonic(token)
        .map_or_else(|| error(format!("`{token}` is not a response code")), |rcode| Ok(rcode.0))
}

pub(crate) fn name(token: &str) -> Result<Name, TextError> {
    let bad = |why: &dyn fmt::Display| TextError(format!("`{token}` is not a name: {why}"));
    let name = match labels(token) {
        _ if !token.contains('\\') => Name::from_ascii(token),
        Some(labels) => Name::from_labels(labels),
        None => return Err(bad(&"an invalid escape")),
    };
    name.map(|mut name| {
        name.set_fqdn(true);
        name
    })
    .map_err(|error| bad(&error))
}

/// The labels of a name with escapes (RFC 4343 section 2.1); `None` for an invalid escape.
/// hickory-proto does not parse escapes of unprintable octets.
fn labels(token: &str) -> Option<Vec<Vec<u8>>> {
    let mut labels = vec![Vec::new()];
    let mut octets = token.bytes();
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

pub(crate) fn record_type(token: &str) -> Result<RecordType, TextError> {
    if let Some(number) = token.strip_prefix("TYPE").and_then(|number| number.parse::<u16>().ok()) {
        return Ok(RecordType::from(number));
    }
    match token {
        "AXFR" => Ok(RecordType::AXFR),
        "IXFR" => Ok(RecordType::IXFR),
        _ => RecordType::from_str(token).map_err(|_| TextError(format!("`{token}` is not a record type"))),
    }
}

pub(crate) fn class(token: &str) -> Result<DNSClass, TextError> {
    if let Some(number) = token.strip_prefix("CLASS").and_then(|number| number.parse::<u16>().ok()) {
        return Ok(DNSClass::from(number));
    }
    DNSClass::from_str(token).map_err(|_| TextError(format!("`{token}` is not a class")))
}

/// Octets from hexadecimal digits; `_` is ignored.
///
/// # Errors
/// An invalid digit, or an odd number of digits.
pub fn parse_hex(hex: &str) -> Result<Vec<u8>, TextError> {
    let digits: Vec<u32> = hex
        .chars()
        .filter(|&digit| digit != '_')
        .map(|digit| digit.to_digit(16).ok_or_else(|| TextError(format!("`{digit}` is not hexadecimal"))))
        .collect::<Result<_, _>>()?;
    let (pairs, half) = digits.as_chunks::<2>();
    if !half.is_empty() {
        return error("an odd number of hexadecimal digits");
    }
    let octet = |&[high, low]: &[u32; 2]| u8::try_from(high * 16 + low);
    pairs.iter().map(octet).collect::<Result<_, _>>().map_err(|_| TextError("not an octet".to_owned()))
}
