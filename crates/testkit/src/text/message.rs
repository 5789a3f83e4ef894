//! Messages: text to message, message to octets and back.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};

use super::error::{TextError, error};
use super::token::{self, rcode, record_type};
use super::{opt, record};

/// TC in the third octet of a header (RFC 1035 section 4.1.1).
const TC: u8 = 0x02;

/// Applies `tokens` to `message`; what they do not mention is unchanged.
///
/// # Errors
/// The first token that does not parse.
pub fn parse(tokens: &[&str], mut message: Message) -> Result<Message, TextError> {
    let mut rest = tokens;
    while let Some((&token, more)) = rest.split_first() {
        if !token.contains('=') && (token.contains('.') || token.ends_with(':')) {
            record::parse_sections(rest, &mut message)?;
            break;
        }
        parse_header_token(token, &mut message)?;
        rest = more;
    }
    Ok(message)
}

fn parse_header_token(word: &str, message: &mut Message) -> Result<(), TextError> {
    if let Ok(number) = rcode(word) {
        message.metadata.response_code = number.into();
        return Ok(());
    }
    match word.split_once('=') {
        Some(("opcode", number)) => match number.parse() {
            Ok(number) => message.metadata.op_code = OpCode::from_u8(number),
            Err(_) => return error(format!("`{word}`: the opcode is a number up to 15")),
        },
        Some(("edns", tokens)) => message.edns = opt::parse(tokens)?,
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
        _ => return error(format!("`{flag}` is not a response code, flag or name with a dot")),
    }
    Ok(())
}

/// An OPT with a payload size of 1232 octets (RFC 9715 section 3.1).
pub fn plain_opt() -> Edns {
    let mut edns = Edns::new();
    edns.set_max_payload(1232);
    edns
}

/// Parses a question: name, type and, unless it is IN, class.
///
/// # Errors
/// The token that is invalid or missing.
pub fn parse_question(tokens: &[&str]) -> Result<Query, TextError> {
    let (name, qtype, class) = match *tokens {
        [name, qtype] => (name, qtype, "IN"),
        [name, qtype, class] => (name, qtype, class),
        _ => return error(format!("`{}` is not NAME TYPE [CLASS]", tokens.join(" "))),
    };
    let mut query = Query::query(token::name(name)?, record_type(qtype)?);
    query.query_class = token::class(class)?;
    Ok(query)
}

/// Encodes the message, with name compression.
///
/// # Errors
/// hickory-proto cannot encode it, or would truncate it.
pub fn encode(message: &Message) -> Result<Vec<u8>, TextError> {
    let octets = message.to_vec().map_err(|error| TextError(format!("cannot be encoded: {error}")))?;
    let truncated = octets.get(2).is_some_and(|flags| flags & TC != 0) && !message.metadata.truncation;
    if truncated { error("more records than a message can hold") } else { Ok(octets) }
}

/// Decodes a message.
///
/// # Errors
/// hickory-proto cannot decode it.
pub fn decode(octets: &[u8]) -> Result<Message, TextError> {
    let hex = || octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    Message::from_vec(octets).map_err(|error| TextError(format!("{error}, in {}", hex())))
}
