//! OPT as text: `edns=1232,do,version=1,ede=22,keepalive,option=10:0102030405060708`. hickory-proto
//! raises payload sizes below 512 to 512 in both directions.

use hickory_proto::op::Edns;
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};

use super::error::{TextError, error};
use super::token::parse_hex;

/// edns-tcp-keepalive (RFC 7828 section 3.1).
const TCP_KEEPALIVE: u16 = 11;
/// Extended DNS Error (RFC 8914 section 2).
const EXTENDED_DNS_ERROR: u16 = 15;

/// Parses the value of `edns=`; `none` is no OPT.
pub(super) fn parse(value: &str) -> Result<Option<Edns>, TextError> {
    let mut parts = value.split(',');
    let size = match parts.next() {
        Some("none") => return Ok(None),
        size => size.and_then(|size| size.parse().ok()),
    };
    let Some(size) = size else { return error(format!("`{value}` does not begin with a payload size")) };
    let mut edns = Edns::new();
    edns.set_max_payload(size);
    for part in parts {
        parse_part(part, &mut edns)?;
    }
    Ok(Some(edns))
}

fn parse_part(part: &str, edns: &mut Edns) -> Result<(), TextError> {
    let bad = |_| TextError(format!("`{part}` is not a number in range"));
    match part.split_once('=') {
        None if part == "do" => drop(edns.set_dnssec_ok(true)),
        None if part == "keepalive" => {
            edns.options_mut().insert(EdnsOption::Unknown(TCP_KEEPALIVE, Vec::new()));
        }
        Some(("version", version)) => drop(edns.set_version(version.parse().map_err(bad)?)),
        Some(("ede", code)) => {
            let code: u16 = code.parse().map_err(bad)?;
            let option = EdnsOption::Unknown(EXTENDED_DNS_ERROR, code.to_be_bytes().to_vec());
            edns.options_mut().insert(option);
        }
        Some(("option", option)) => {
            let Some((code, hex)) = option.split_once(':') else {
                return error(format!("`{part}` is not option=CODE:OCTETS"));
            };
            let option = EdnsOption::Unknown(code.parse().map_err(bad)?, parse_hex(hex)?);
            edns.options_mut().insert(option);
        }
        _ => return error(format!("`{part}` is not a part of OPT")),
    }
    Ok(())
}

/// The inverse of [`parse`].
pub(super) fn format(edns: &Edns) -> String {
    let mut text = format!("edns={}", edns.max_payload());
    if edns.flags().dnssec_ok {
        text.push_str(",do");
    }
    if edns.flags().z != 0 {
        text.push_str(&format!(",z={:x}", edns.flags().z));
    }
    if edns.version() != 0 {
        text.push_str(&format!(",version={}", edns.version()));
    }
    for (code, option) in &edns.options().options {
        text.push_str(&match option {
            EdnsOption::Unknown(EXTENDED_DNS_ERROR, octets) if octets.len() == 2 => {
                let code = octets.iter().fold(0, |code, &octet| code << 8 | u32::from(octet));
                format!(",ede={code}")
            }
            EdnsOption::Unknown(TCP_KEEPALIVE, octets) if octets.is_empty() => ",keepalive".to_owned(),
            EdnsOption::Unknown(code, octets) => format!(",option={code}:{}", hex(octets)),
            _ => format!(",option={}", number(*code)),
        });
    }
    text
}

fn number(code: EdnsCode) -> u16 {
    u16::from(code)
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
