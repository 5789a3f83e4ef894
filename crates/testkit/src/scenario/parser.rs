//! Parser of scenario files: lines to [`Step`]s.

use std::path::Path;

use hickory_proto::op::{Message, MessageType, OpCode};
use resolver::action::{AttemptFailure, Transport};

use super::config::ConfigParser;
use super::error::ScenarioError;
use super::step::{
    Cause, ExpectedQuery, ExpectedResponse, Packet, RawReply, Reply, Scenario, Step, StepKind,
};
use super::tokens::{duration, number, zone};
use crate::text::{self, TextError, error};

impl Scenario {
    /// Parses the file at `path`.
    ///
    /// # Errors
    /// The file cannot be read, or a line does not parse.
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(file, &text),
            Err(error) => Err(ScenarioError { file, line: 0, reason: error.to_string() }),
        }
    }

    /// Parses `text`, the contents of `file`.
    ///
    /// # Errors
    /// A line does not parse.
    pub fn parse(file: String, text: &str) -> Result<Self, ScenarioError> {
        match parse_lines(text) {
            Ok(Parsed { title, config, steps }) => Ok(Self { file, title, config: config.finish(), steps }),
            Err((line, error)) => Err(ScenarioError { file, line, reason: error.0 }),
        }
    }
}

struct Parsed {
    title: String,
    config: ConfigParser,
    steps: Vec<Step>,
}

fn parse_lines(text: &str) -> Result<Parsed, (usize, TextError)> {
    let Some(title) = text.lines().next().and_then(|line| line.strip_prefix("; ")) else {
        return Err((1, TextError("the first line must be the title, after `; `".to_owned())));
    };
    let mut config = ConfigParser::default();
    let mut steps: Vec<Step> = Vec::new();
    for (line, content) in join_lines(text) {
        let tokens: Vec<&str> = content.split_whitespace().collect();
        let Some((&keyword, tokens)) = tokens.split_first() else { continue };
        if steps.last().is_some_and(|step| matches!(step.kind, StepKind::End)) {
            return Err((line, TextError("a step after END".to_owned())));
        }
        if keyword == "CONFIG" && steps.is_empty() {
            config.line(tokens).map_err(|error| (line, error))?;
        } else {
            let kind = parse_step(keyword, tokens).map_err(|error| (line, error))?;
            steps.push(Step { line, kind });
        }
    }
    if steps.last().is_some_and(|step| matches!(step.kind, StepKind::End)) {
        return Ok(Parsed { title: title.trim().to_owned(), config, steps });
    }
    Err((text.lines().count(), TextError("the last step must be END".to_owned())))
}

/// Removes comments and joins a line that begins with a space to the line above it.
fn join_lines(text: &str) -> Vec<(usize, String)> {
    let mut joined: Vec<(usize, String)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let content = match line.split_once(" ;") {
            _ if line.starts_with(';') => "",
            Some((content, _)) => content,
            None => line,
        };
        match joined.last_mut() {
            Some((_, above)) if content.starts_with(' ') => above.push_str(content),
            _ => joined.push((index + 1, content.to_owned())),
        }
    }
    joined
}

fn parse_step(keyword: &str, tokens: &[&str]) -> Result<StepKind, TextError> {
    match (keyword, tokens) {
        ("QUERY", [client, tokens @ ..]) => parse_query(client, tokens),
        ("CHECK_OUT_QUERY", [upstream, "as", attempt, tokens @ ..]) => {
            parse_expected_query(upstream, attempt, tokens)
        }
        ("CHECK_OUT_QUERY", [upstream, tokens @ ..]) => parse_expected_query(upstream, upstream, tokens),
        ("REPLY", [attempt, tokens @ ..]) => parse_reply(attempt, tokens),
        ("FAIL", [connection, failure]) => {
            Ok(StepKind::Fail { connection: (*connection).to_owned(), failure: parse_failure(failure)? })
        }
        ("CLOSED" | "RESET", [connection]) => {
            let failure = AttemptFailure::Closed;
            Ok(StepKind::Fail { connection: (*connection).to_owned(), failure })
        }
        ("UNSENT", [attempt, failure]) => {
            Ok(StepKind::Unsent { attempt: (*attempt).to_owned(), failure: parse_failure(failure)? })
        }
        ("ESTABLISHED", [connection]) => Ok(StepKind::Established((*connection).to_owned())),
        ("PARTIAL", [connection]) => Ok(StepKind::Partial((*connection).to_owned())),
        ("UNACKNOWLEDGED", [connection]) => Ok(StepKind::Unacknowledged((*connection).to_owned())),
        ("CHECK_DIAL", [upstream, "as", connection, tokens @ ..]) => {
            let transport = match tokens {
                [] => Transport::Tcp,
                ["udp"] => Transport::Udp,
                _ => return error(format!("unexpected `{}`", tokens.join(" "))),
            };
            let (upstream, connection) = ((*upstream).to_owned(), (*connection).to_owned());
            Ok(StepKind::CheckDial { upstream, connection, transport })
        }
        ("CHECK_CLOSE", [connection]) => Ok(StepKind::CheckClose((*connection).to_owned())),
        ("CHECK_ANSWER", [client, tokens @ ..]) => parse_expected_response(client, tokens),
        ("CHECK_LOOP", []) => Ok(StepKind::CheckLoop),
        ("CHECK_ERROR", [rcode, name, qtype, cause @ ..]) => Ok(StepKind::CheckError {
            query: format!("{rcode} {} {qtype}", zone(name)?),
            cause: parse_cause(cause)?,
        }),
        ("CHECK_COUNTER", [counter, value]) => parse_counter(counter, None, value),
        ("CHECK_COUNTER", [counter, of, value]) => parse_counter(counter, Some((*of).to_owned()), value),
        ("WALL_CLOCK", [seconds]) => Ok(StepKind::WallClock(number(seconds)?)),
        ("TIME_PASSES", [time]) => Ok(StepKind::TimePasses(duration(time)?)),
        ("CHECK_NOTHING", []) => Ok(StepKind::CheckNothing),
        ("END", []) => Ok(StepKind::End),
        ("CONFIG", _) => error("CONFIG must precede the first step"),
        _ => error(format!("`{keyword} {}` is not a step", tokens.join(" "))),
    }
}

fn parse_query(client: &str, tokens: &[&str]) -> Result<StepKind, TextError> {
    let mut tokens = Tokens::new(tokens);
    let transport = if tokens.take_word("tcp") { Transport::Tcp } else { Transport::Udp };
    let id = tokens.take_value("id").map(number).transpose()?;
    let packet = if let Some(hex) = tokens.take_value("raw") {
        tokens.end()?;
        Packet::Raw(text::parse_hex(hex)?)
    } else {
        let mut message = Message::new(0, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.queries = vec![tokens.take_question()?];
        Packet::Message(text::parse(&tokens.rest, message)?)
    };
    Ok(StepKind::Query { client: client.to_owned(), transport, packet, id })
}

fn parse_expected_query(upstream: &str, attempt: &str, tokens: &[&str]) -> Result<StepKind, TextError> {
    let mut tokens = Tokens::new(tokens);
    let transport = if tokens.take_word("udp") { Transport::Udp } else { Transport::Tcp };
    let fresh = tokens.take_word("fresh");
    let connection = tokens.take_value("on").map(str::to_owned);
    let mut message = Message::new(0, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.metadata.authentic_data = true;
    message.edns = Some(text::plain_opt());
    message.queries = vec![tokens.take_question()?];
    let message = text::parse(&tokens.rest, message)?;
    let (upstream, attempt) = (upstream.to_owned(), attempt.to_owned());
    let expected = ExpectedQuery { upstream, attempt, transport, fresh, connection, message };
    Ok(StepKind::CheckOutQuery(expected))
}

fn parse_reply(attempt: &str, tokens: &[&str]) -> Result<StepKind, TextError> {
    let mut tokens = Tokens::new(tokens);
    let wrong_id = tokens.take_word("id=wrong");
    let question = tokens.take_value("question").map(|question| {
        let parts: Vec<&str> = question.split('/').collect();
        text::parse_question(&parts)
    });
    let raw = tokens.take_value("raw").map(|hex| match hex.strip_prefix("ID") {
        Some(hex) => text::parse_hex(hex).map(RawReply::AfterId),
        None => text::parse_hex(hex).map(RawReply::Whole),
    });
    let trailing = tokens.take_value("trailing").map(number).transpose()?.unwrap_or(0);
    let mut message = Message::new(0, MessageType::Response, OpCode::Query);
    message.metadata.recursion_available = true;
    message.edns = Some(text::plain_opt());
    let message = text::parse(&tokens.rest, message)?;
    let (question, raw) = (question.transpose()?, raw.transpose()?);
    let reply = Reply { message, wrong_id, question, raw, trailing };
    Ok(StepKind::Reply { attempt: attempt.to_owned(), reply })
}

fn parse_expected_response(client: &str, tokens: &[&str]) -> Result<StepKind, TextError> {
    let mut tokens = Tokens::new(tokens);
    let id = tokens.take_value("id").map(number).transpose()?;
    let upstream = tokens.take_value("upstream").map(str::to_owned);
    let length = tokens.take_value("length").map(number).transpose()?;
    let header_only = tokens.take_word("header_only");
    let mut message = Message::new(0, MessageType::Response, OpCode::Query);
    message.metadata.recursion_available = !header_only;
    let message = text::parse(&tokens.rest, message)?;
    let client = client.to_owned();
    let expected = ExpectedResponse { client, id, upstream, length, header_only, message };
    Ok(StepKind::CheckAnswer(expected))
}

fn parse_counter(counter: &str, of: Option<String>, value: &str) -> Result<StepKind, TextError> {
    Ok(StepKind::CheckCounter { counter: counter.to_owned(), of, value: number(value)? })
}

fn parse_cause(tokens: &[&str]) -> Result<Cause, TextError> {
    match *tokens {
        ["max_concurrent", limit] => Ok(Cause::TooManyConcurrent(number(limit)?)),
        ["waiting_memory"] => Ok(Cause::TooManyInFlight),
        ["waiters_per_query"] => Ok(Cause::TooManyWaiters),
        ["client_share"] => Ok(Cause::TooManyPerClient),
        ["nothing_behind", last] => Ok(Cause::NoNextDirective(last.to_owned())),
        ["invalid_name"] => Ok(Cause::InvalidName),
        ["template", section, ref reason @ ..] => Ok(Cause::Template(section.to_owned(), reason.join(" "))),
        [failure, transport, upstream] => {
            let transport = match transport {
                "tcp" => Transport::Tcp,
                "udp" => Transport::Udp,
                _ => return error(format!("`{transport}` is not tcp or udp")),
            };
            Ok(Cause::Upstream(parse_failure(failure)?, transport, upstream.to_owned()))
        }
        _ => error(format!("`{}` is not a cause", tokens.join(" "))),
    }
}

fn parse_failure(token: &str) -> Result<AttemptFailure, TextError> {
    Ok(match token {
        "refused" => AttemptFailure::Refused,
        "unreachable" => AttemptFailure::Unreachable,
        "dial_timeout" => AttemptFailure::DialTimedOut,
        "tls_handshake" => AttemptFailure::Handshake,
        "timeout" => AttemptFailure::TimedOut,
        "closed" => AttemptFailure::Closed,
        "mismatched" => AttemptFailure::Mismatched,
        "local" => AttemptFailure::Local,
        "filtered" => AttemptFailure::Filtered,
        "all_down" => AttemptFailure::AllDown,
        _ => return error(format!("`{token}` is not a failure of an attempt")),
    })
}

/// The tokens of a line; those that do not belong to the message are taken out one by one.
struct Tokens<'a> {
    rest: Vec<&'a str>,
}

impl<'a> Tokens<'a> {
    fn new(tokens: &[&'a str]) -> Self {
        Self { rest: tokens.to_vec() }
    }

    fn take_word(&mut self, wanted: &str) -> bool {
        let index = self.rest.iter().position(|token| *token == wanted);
        index.map(|index| self.rest.remove(index)).is_some()
    }

    fn take_value(&mut self, key: &str) -> Option<&'a str> {
        let value = |token: &'a str| token.strip_prefix(key)?.strip_prefix('=');
        let index = self.rest.iter().position(|token| value(token).is_some())?;
        value(self.rest.remove(index))
    }

    fn take_question(&mut self) -> Result<hickory_proto::op::Query, TextError> {
        let has_class = self.rest.get(2).is_some_and(|token| text::class(token).is_ok());
        let length = if has_class { 3 } else { 2 };
        let tokens: Vec<&str> = self.rest.drain(..length.min(self.rest.len())).collect();
        text::parse_question(&tokens)
    }

    fn end(&self) -> Result<(), TextError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        error(format!("unexpected `{}`", self.rest.join(" ")))
    }
}
