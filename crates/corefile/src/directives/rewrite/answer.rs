//! `answer` parts of `rewrite name`: how names in the response are changed back.

use resolver::policy::rewrite::{AnswerPart, AnswerRule};

use super::pattern::Replacement;
use crate::error::ConfigError;
use crate::token::Token;
use crate::values::regex;

/// The types of answer rules.
const TYPES: [&str; 3] = ["auto", "name", "value"];

/// Answer rules behind a `name` rule of a kind: whether `auto` is among them, and the others.
pub(super) fn answers(kind: &str, mut rest: &[&Token]) -> Result<(bool, Vec<AnswerRule>), ConfigError> {
    let (mut auto, mut rules, mut last) = (None, Vec::new(), None);
    if let [only] = rest {
        return Err(ConfigError::at(only, format!("invalid arguments for {kind} rule")));
    }
    while let Some((token, mut arguments)) = rest.split_first() {
        let mut answer = *token;
        if token.is("answer") {
            let Some((first, others)) = arguments.split_first() else {
                let reason = format!("type missing for answer rule for {kind} rule");
                return Err(ConfigError::at(token, reason));
            };
            (answer, arguments) = (first, others);
        } else if last.is_none() {
            let reason =
                format!("exceeded the number of arguments for a non-answer rule argument for {kind} rule");
            return Err(ConfigError::at(token, reason));
        }
        rest = arguments;
        last = Some(answer);
        match &*answer.text {
            "auto" => auto = Some(answer),
            "name" | "value" => {
                let [from, to, others @ ..] = arguments else {
                    let reason = format!("{} answer rule for {kind} rule: 2 arguments required", answer.text);
                    return Err(ConfigError::at(answer, reason));
                };
                rest = others;
                rules.push(answer_rule(kind, answer, from, to)?);
            }
            other => {
                let reason = format!("invalid type {other:?} for answer rule for {kind} rule");
                return Err(ConfigError::unknown(answer, reason, &TYPES));
            }
        }
    }
    match auto {
        Some(auto) if rules.iter().any(|rule| rule.part == AnswerPart::Name) => Err(ConfigError::at(
            auto,
            "auto name answer rule cannot be combined with explicit name answer rules",
        )
        .of_combination()),
        auto => Ok((auto.is_some(), rules)),
    }
}

fn answer_rule(kind: &str, answer: &Token, from: &Token, to: &Token) -> Result<AnswerRule, ConfigError> {
    let part = if answer.is("name") { AnswerPart::Name } else { AnswerPart::Value };
    let invalid = format!("{} answer rule for {kind} rule: invalid regex matching pattern", answer.text);
    let pattern = regex(from, &invalid)?;
    let Replacement(to) = Replacement::new(&pattern, from, to)?;
    Ok(AnswerRule { part, pattern, to })
}
