//! `rewrite edns0`.

use resolver::policy::rewrite::{OptionAction, OptionData, OptionRule, OptionVariable};

use crate::directives::context::DirectiveContext;
use crate::error::ConfigError;
use crate::token::Token;
use crate::tree::Directive;

/// The options.
const OPTIONS: [&str; 3] = ["local", "nsid", "subnet"];

pub(super) fn parse(
    field: &Token,
    arguments: &[&Token],
    directive: &Directive,
    context: &mut DirectiveContext<'_>,
) -> Result<OptionRule, ConfigError> {
    let [kind, action_token, rest @ ..] = arguments else {
        return Err(ConfigError::at(field, "too few arguments for an EDNS0 rule"));
    };
    let action = action(action_token)?;
    // Clients do not get the options of a response, so that there is nothing to revert.
    let values = match rest {
        [values @ .., last] if last.is("revert") && action != OptionAction::Unset => values,
        _ => rest,
    };
    let option = match &*kind.text.to_ascii_lowercase() {
        "local" => local(kind, values, action)?,
        "nsid" if values.is_empty() => OptionData::Nsid,
        "nsid" => return Err(ConfigError::at(kind, "EDNS0 NSID rules do not accept args")),
        "subnet" => subnet(kind, values, action)?,
        other => return Err(ConfigError::unknown(kind, format!("invalid rule type {other:?}"), &OPTIONS)),
    };
    if matches!(option, OptionData::Variable(_, OptionVariable::Metadata)) {
        context.warn_without_effect(directive, "no label of metadata is set before a query is rewritten");
    }
    Ok(OptionRule { action, option })
}

fn action(token: &Token) -> Result<OptionAction, ConfigError> {
    let name = token.text.to_ascii_lowercase();
    OptionAction::from_name(&name).ok_or_else(|| {
        let known = OptionAction::ALL.map(OptionAction::name);
        ConfigError::unknown(token, format!("invalid action: {name:?}"), &known)
    })
}

fn local(kind: &Token, values: &[&Token], action: OptionAction) -> Result<OptionData, ConfigError> {
    match *values {
        [code] if action == OptionAction::Unset => Ok(OptionData::Local(number(code)?, Vec::new())),
        _ if action == OptionAction::Unset => {
            Err(ConfigError::at(kind, "EDNS0 local unset action requires exactly two arguments"))
        }
        [code, data] if data.text.starts_with('{') && data.text.ends_with('}') => {
            Ok(OptionData::Variable(number(code)?, variable(data)?))
        }
        [code, data] => Ok(OptionData::Local(number(code)?, octets(data)?)),
        _ => Err(ConfigError::at(kind, "EDNS0 local rules require exactly three args")),
    }
}

fn subnet(kind: &Token, values: &[&Token], action: OptionAction) -> Result<OptionData, ConfigError> {
    match *values {
        [] if action == OptionAction::Unset => Ok(OptionData::Subnet { v4: 0, v6: 0 }),
        _ if action == OptionAction::Unset => {
            Err(ConfigError::at(kind, "EDNS0 subnet unset action does not accept args"))
        }
        [v4, v6] => Ok(OptionData::Subnet { v4: mask_len(v4, "IPv4", 32)?, v6: mask_len(v6, "IPv6", 128)? }),
        _ => Err(ConfigError::at(kind, "EDNS0 subnet rules require exactly three args")),
    }
}

fn mask_len(token: &Token, family: &str, most: u8) -> Result<u8, ConfigError> {
    let len = number(token)?;
    let mask_len = u8::try_from(len).ok().filter(|len| *len <= most);
    mask_len.ok_or_else(|| ConfigError::at(token, format!("invalid {family} bit mask length {len}")))
}

/// A number of up to sixteen bits: decimal, hexadecimal with `0x`, octal with `0` or `0o`, or binary
/// with `0b`.
fn number(token: &Token) -> Result<u16, ConfigError> {
    let text = token.text.to_ascii_lowercase();
    let (digits, radix) = if let Some(digits) = text.strip_prefix("0x") {
        (digits, 16)
    } else if let Some(digits) = text.strip_prefix("0b") {
        (digits, 2)
    } else if let Some(digits) = text.strip_prefix("0o") {
        (digits, 8)
    } else if let Some(digits) = text.strip_prefix('0').filter(|digits| !digits.is_empty()) {
        (digits, 8)
    } else {
        (&*text, 10)
    };
    let reason = || ConfigError::at(token, format!("'{}' is not a number from 0 to 65535", token.text));
    u16::from_str_radix(digits, radix).map_err(|_| reason())
}

/// Text, or hexadecimal octets with `0x`.
fn octets(token: &Token) -> Result<Vec<u8>, ConfigError> {
    let Some(digits) = token.text.strip_prefix("0x") else {
        return Ok(token.text.as_bytes().to_vec());
    };
    let reason = || ConfigError::at(token, format!("'{}' is not a whole number of octets", token.text));
    let mut octets = Vec::with_capacity(digits.len() / 2);
    for pair in digits.as_bytes().chunks(2) {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2);
        let octet = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok());
        octets.push(octet.ok_or_else(reason)?);
    }
    Ok(octets)
}

fn variable(token: &Token) -> Result<OptionVariable, ConfigError> {
    let reason = || format!("unsupported variable name {:?}", token.text);
    OptionVariable::from_text(&token.text).ok_or_else(|| ConfigError::at(token, reason()))
}
