//! The `rewrite` directive of a scenario, in the Corefile's words; `match` is required.

use regex::Regex;
use resolver::policy::rewrite::{
    AnswerPart, AnswerRule, NamePattern, OptionAction, OptionData, OptionRule, OptionVariable, RewriteField,
    RewriteRule,
};
use wire::header::{Class, Rcode, RecordType};

use super::super::tokens::number;
use crate::text::{self, TextError, error};

pub(super) fn parse(tokens: &[&str]) -> Result<RewriteRule, TextError> {
    let (continues, rest) = match tokens {
        ["continue", rest @ ..] => (true, rest),
        ["stop", rest @ ..] => (false, rest),
        _ => (false, tokens),
    };
    Ok(RewriteRule { continues, field: field(rest)? })
}

fn field(tokens: &[&str]) -> Result<RewriteField, TextError> {
    match *tokens {
        ["name", kind, from, to, ref answers @ ..] => {
            let mut rest = answers;
            let (mut auto, mut answers) = (kind == "exact", Vec::new());
            while !rest.is_empty() {
                (auto, rest) = match *rest {
                    ["answer", "auto", ref rest @ ..] => (true, rest),
                    ["answer", part, from, to, ref rest @ ..] => {
                        let part = if part == "name" { AnswerPart::Name } else { AnswerPart::Value };
                        answers.push(AnswerRule { part, pattern: regex(from)?, to: to.to_owned() });
                        (auto, rest)
                    }
                    _ => return error(format!("`{}` is not an answer rule", rest.join(" "))),
                };
            }
            Ok(RewriteField::Name { pattern: pattern(kind, from)?, to: to.to_owned(), auto, answers })
        }
        ["type", from, to] => Ok(RewriteField::Type(rtype(from)?, rtype(to)?)),
        ["class", from, to] => Ok(RewriteField::Class(class(from)?, class(to)?)),
        ["ttl", kind, name, min, max] => {
            Ok(RewriteField::Ttl { pattern: pattern(kind, name)?, min: number(min)?, max: number(max)? })
        }
        ["rcode", kind, name, from, to] => {
            let (from, to) = (Rcode(text::rcode(from)?), Rcode(text::rcode(to)?));
            Ok(RewriteField::Rcode { pattern: pattern(kind, name)?, from, to })
        }
        ["cname", kind, from, to] => {
            Ok(RewriteField::CnameTarget { pattern: pattern(kind, from)?, to: to.to_owned() })
        }
        ["edns0", action, ref option @ ..] => {
            Ok(RewriteField::Option(OptionRule { action: action_of(action)?, option: option_of(option)? }))
        }
        _ => error(format!("`{}` is not a rewrite rule", tokens.join(" "))),
    }
}

fn pattern(kind: &str, text: &str) -> Result<NamePattern, TextError> {
    Ok(match kind {
        "exact" => NamePattern::Exact(text.to_owned()),
        "prefix" => NamePattern::Prefix(text.to_owned()),
        "suffix" => NamePattern::Suffix(text.to_owned()),
        "substring" => NamePattern::Substring(text.to_owned()),
        "regex" => NamePattern::Regex(regex(text)?),
        _ => return error(format!("`{kind}` is not a kind of pattern")),
    })
}

fn regex(text: &str) -> Result<Regex, TextError> {
    Regex::new(text).map_err(|error| TextError(error.to_string()))
}

fn rtype(text: &str) -> Result<RecordType, TextError> {
    RecordType::from_mnemonic(text).ok_or_else(|| TextError(format!("`{text}` is not a type")))
}

fn class(text: &str) -> Result<Class, TextError> {
    Class::from_mnemonic(text).ok_or_else(|| TextError(format!("`{text}` is not a class")))
}

fn action_of(text: &str) -> Result<OptionAction, TextError> {
    OptionAction::from_name(text).ok_or_else(|| TextError(format!("`{text}` is not an action on an option")))
}

fn option_of(tokens: &[&str]) -> Result<OptionData, TextError> {
    Ok(match *tokens {
        ["local", code, data] => match OptionVariable::from_text(data) {
            Some(variable) => OptionData::Variable(number(code)?, variable),
            None => OptionData::Local(number(code)?, data.as_bytes().to_vec()),
        },
        ["local", code] => OptionData::Local(number(code)?, Vec::new()),
        ["nsid"] => OptionData::Nsid,
        ["subnet", v4, v6] => OptionData::Subnet { v4: number(v4)?, v6: number(v6)? },
        _ => return error(format!("`{}` is not an option", tokens.join(" "))),
    })
}
