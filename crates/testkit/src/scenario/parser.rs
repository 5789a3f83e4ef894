//! Lines into steps.

use hickory_proto::op::{Message, MessageType, OpCode};
use resolver::action::{AttemptFailure, Transport};

use super::Scenario;
use super::settings::SettingsParser;
use super::step::{Act, Addressed, Cause, Expected, Packet, RawReply, Reply, Step};
use super::tokens::{duration, number, zone};
use crate::text::{self, TextError, error};

/// Names that upstreams and attempts cannot have, because they are words of `EXPECT`.
const RESERVED: [&str; 4] = ["forget", "distrust", "trouble", "loop"];

/// Reads `text`; an error comes with its line.
pub(super) fn parse(file: &str, text: &str) -> Result<Scenario, (usize, TextError)> {
    let Some(title) = text.lines().next().and_then(|line| line.strip_prefix("; ")) else {
        return Err((1, TextError("the first line is the title, behind `; `".to_owned())));
    };
    let mut settings = SettingsParser::default();
    let mut steps: Vec<Step> = Vec::new();
    for (line, content) in join_lines(text) {
        let words: Vec<&str> = content.split_whitespace().collect();
        let Some((&verb, words)) = words.split_first() else { continue };
        if steps.last().is_some_and(|step| matches!(step.act, Act::End)) {
            return Err((line, TextError("a step behind END".to_owned())));
        }
        if verb == "POLICY" && steps.is_empty() {
            settings.line(words).map_err(|error| (line, error))?;
        } else {
            let act = parse_step(verb, words).map_err(|error| (line, error))?;
            steps.push(Step { line, act });
        }
    }
    match steps.last() {
        Some(Step { act: Act::End, .. }) => {
            let (file, title) = (file.to_owned(), title.trim().to_owned());
            Ok(Scenario { file, title, settings: settings.finish(), steps })
        }
        _ => Err((text.lines().count(), TextError("the last step is END".to_owned()))),
    }
}

/// Lines without comments, those that begin with a space joined to the one above.
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

fn parse_step(verb: &str, words: &[&str]) -> Result<Act, TextError> {
    match (verb, words) {
        ("ASK", [client, words @ ..]) => parse_ask(client, words),
        ("EXPECT", ["forget", attempt]) => Ok(Act::Forgotten((*attempt).to_owned())),
        ("EXPECT", ["distrust", attempt]) => Ok(Act::Distrusted((*attempt).to_owned())),
        ("EXPECT", ["loop"]) => Ok(Act::Looped),
        ("EXPECT", ["trouble", rcode, name, qtype, cause @ ..]) => {
            Ok(Act::Trouble { query: format!("{rcode} {} {qtype}", zone(name)?), cause: parse_cause(cause)? })
        }
        ("EXPECT", [upstream, "as", attempt, words @ ..]) => parse_expected(upstream, attempt, words),
        ("EXPECT", [upstream, words @ ..]) => parse_expected(upstream, upstream, words),
        ("ANSWER", [attempt, words @ ..]) => parse_answer(attempt, words),
        ("FAIL", [attempt, how]) => Ok(Act::Fail { attempt: (*attempt).to_owned(), failure: failure(how)? }),
        ("RECEIVE", [client, words @ ..]) => parse_received(client, words),
        ("COUNT", [counter, value]) => parse_count(counter, None, value),
        ("COUNT", [counter, of, value]) => parse_count(counter, Some((*of).to_owned()), value),
        ("CLOCK", [time]) => Ok(Act::Clock(number(time)?)),
        ("PASS", [time]) => Ok(Act::Pass(duration(time)?)),
        ("NOTHING", []) => Ok(Act::Nothing),
        ("END", []) => Ok(Act::End),
        ("POLICY", _) => error("POLICY stands before the first step"),
        _ => error(format!("`{verb} {}` is not a step", words.join(" "))),
    }
}

fn parse_ask(client: &str, words: &[&str]) -> Result<Act, TextError> {
    let mut words = Words::new(words);
    let transport = if words.take_word("tcp") { Transport::Tcp } else { Transport::Udp };
    let id = words.take_value("id").map(number).transpose()?;
    let packet = if let Some(hex) = words.take_value("raw") {
        words.end()?;
        Packet::Raw(text::parse_hex(hex)?)
    } else {
        let mut message = Message::new(0, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.queries = vec![words.take_question()?];
        Packet::Message(text::parse(&words.rest, message)?)
    };
    Ok(Act::Ask { client: client.to_owned(), transport, packet, id })
}

fn parse_expected(upstream: &str, attempt: &str, words: &[&str]) -> Result<Act, TextError> {
    if RESERVED.contains(&upstream) || RESERVED.contains(&attempt) {
        return error(format!("`EXPECT {upstream} …` with other words behind it"));
    }
    let mut words = Words::new(words);
    let transport = if words.take_word("udp") { Transport::Udp } else { Transport::Tcp };
    let fresh = words.take_word("fresh");
    let mut message = Message::new(0, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.metadata.authentic_data = true;
    message.edns = Some(text::plain_opt());
    message.queries = vec![words.take_question()?];
    let message = text::parse(&words.rest, message)?;
    let (upstream, attempt) = (upstream.to_owned(), attempt.to_owned());
    Ok(Act::Asked(Expected { upstream, attempt, transport, fresh, message }))
}

fn parse_answer(attempt: &str, words: &[&str]) -> Result<Act, TextError> {
    let mut words = Words::new(words);
    let wrong_id = words.take_word("id=wrong");
    let question = words.take_value("question").map(|question| {
        let words: Vec<&str> = question.split('/').collect();
        text::parse_question(&words)
    });
    let raw = words.take_value("raw").map(|hex| match hex.strip_prefix("ID") {
        Some(hex) => text::parse_hex(hex).map(RawReply::AfterId),
        None => text::parse_hex(hex).map(RawReply::Whole),
    });
    let mut message = Message::new(0, MessageType::Response, OpCode::Query);
    message.metadata.recursion_available = true;
    message.edns = Some(text::plain_opt());
    let message = text::parse(&words.rest, message)?;
    let reply = Reply { message, wrong_id, question: question.transpose()?, raw: raw.transpose()? };
    Ok(Act::Answer { attempt: attempt.to_owned(), reply })
}

fn parse_received(client: &str, words: &[&str]) -> Result<Act, TextError> {
    let mut words = Words::new(words);
    let id = words.take_value("id").map(number).transpose()?;
    let bare = words.take_word("bare");
    let mut message = Message::new(0, MessageType::Response, OpCode::Query);
    message.metadata.recursion_available = !bare;
    let message = text::parse(&words.rest, message)?;
    Ok(Act::Receive(Addressed { client: client.to_owned(), id, bare, message }))
}

fn parse_count(counter: &str, of: Option<String>, value: &str) -> Result<Act, TextError> {
    Ok(Act::Count { counter: counter.to_owned(), of, value: number(value)? })
}

fn parse_cause(words: &[&str]) -> Result<Cause, TextError> {
    match *words {
        ["max_concurrent", limit] => Ok(Cause::TooManyConcurrent(number(limit)?)),
        ["flights"] => Ok(Cause::TooManyInFlight),
        ["waiters"] => Ok(Cause::TooManyWaiters),
        ["client"] => Ok(Cause::TooManyOfClient),
        ["no-forward"] => Ok(Cause::NoForward),
        [how, transport, upstream] => {
            let transport = match transport {
                "tcp" => Transport::Tcp,
                "udp" => Transport::Udp,
                _ => return error(format!("`{transport}` is not tcp or udp")),
            };
            Ok(Cause::Upstream(failure(how)?, transport, upstream.to_owned()))
        }
        _ => error(format!("`{}` is not a cause", words.join(" "))),
    }
}

fn failure(word: &str) -> Result<AttemptFailure, TextError> {
    Ok(match word {
        "refused" => AttemptFailure::Refused,
        "unreachable" => AttemptFailure::Unreachable,
        "dial-timed-out" => AttemptFailure::DialTimedOut,
        "handshake" => AttemptFailure::Handshake,
        "timed-out" => AttemptFailure::TimedOut,
        "closed" => AttemptFailure::Closed { reused: false },
        "closed-reused" => AttemptFailure::Closed { reused: true },
        "local" => AttemptFailure::Local,
        "all-down" => AttemptFailure::AllDown,
        _ => return error(format!("`{word}` is not a way to fail")),
    })
}

/// The words of a line, of which those that are not a message's are taken out.
struct Words<'a> {
    rest: Vec<&'a str>,
}

impl<'a> Words<'a> {
    fn new(words: &[&'a str]) -> Self {
        Self { rest: words.to_vec() }
    }

    fn take_word(&mut self, wanted: &str) -> bool {
        let place = self.rest.iter().position(|word| *word == wanted);
        place.map(|place| self.rest.remove(place)).is_some()
    }

    fn take_value(&mut self, key: &str) -> Option<&'a str> {
        let value = |word: &'a str| word.strip_prefix(key)?.strip_prefix('=');
        let place = self.rest.iter().position(|word| value(word).is_some())?;
        value(self.rest.remove(place))
    }

    fn take_question(&mut self) -> Result<hickory_proto::op::Query, TextError> {
        let classed = self.rest.get(2).is_some_and(|word| text::class(word).is_ok());
        let words: Vec<&str> =
            self.rest.drain(..(if classed { 3 } else { 2 }).min(self.rest.len())).collect();
        text::parse_question(&words)
    }

    fn end(&self) -> Result<(), TextError> {
        if self.rest.is_empty() { Ok(()) } else { error(format!("`{}` is too much", self.rest.join(" "))) }
    }
}
