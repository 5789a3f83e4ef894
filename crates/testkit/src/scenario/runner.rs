//! Plays a scenario with a resolver in virtual time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hickory_proto::op::Message;
use resolver::action::{AttemptId, Client, Outbox, Transport};

use super::environment::Environment;
use super::sent::Sent;
use super::step::{Act, Packet, RawReply, Reply};
use super::{Scenario, ScenarioError};
use crate::text::{self, TextError, error};

/// Calls of `on_timer` in one step of time before the resolver is said not to come to rest.
const MOST_CALLS: usize = 1000;

/// Plays `scenario`.
///
/// # Errors
/// The first step that does not come true.
pub fn run(scenario: &Scenario) -> Result<(), ScenarioError> {
    let mut runner = Runner::new(scenario);
    for step in &scenario.steps {
        let outcome = runner.act(&step.act);
        outcome.map_err(|error| ScenarioError {
            file: scenario.file.clone(),
            line: step.line,
            what: error.0,
        })?;
    }
    Ok(())
}

/// A question of a client that has not been answered.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) client: Client,
    pub(super) id: u16,
    pub(super) recursion_desired: bool,
    /// Nothing for octets that are no message.
    pub(super) message: Option<Message>,
}

/// A question that an upstream got.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) id: AttemptId,
    pub(super) asked: Message,
}

/// What has happened so far.
#[derive(Debug)]
pub(super) struct Runner {
    pub(super) environment: Environment,
    pub(super) sent: Vec<Sent>,
    pub(super) open: Vec<Open>,
    pub(super) attempts: BTreeMap<String, Attempt>,
    now: Instant,
    outbox: Outbox,
    last_id: u16,
}

impl Runner {
    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant has no other source; from here on time is virtual"
    )]
    fn new(scenario: &Scenario) -> Self {
        Self {
            environment: Environment::new(&scenario.settings),
            sent: Vec::new(),
            open: Vec::new(),
            attempts: BTreeMap::new(),
            now: Instant::now(),
            outbox: Outbox::default(),
            last_id: 0,
        }
    }

    fn act(&mut self, act: &Act) -> Result<(), TextError> {
        match act {
            Act::Ask { client, transport, packet, id } => self.ask(client, *transport, packet, *id),
            Act::Asked(expected) => self.expect_ask(expected),
            Act::Answer { attempt, reply } => self.answer(attempt, reply),
            Act::Fail { attempt, failure } => {
                let attempt = self.attempt(attempt)?.id;
                self.environment.resolver.on_failure(self.now, attempt, *failure, &mut self.outbox);
                self.collect();
                Ok(())
            }
            Act::Receive(addressed) => self.expect_answer(addressed),
            Act::Forgotten(attempt) => self.expect_forget(attempt),
            Act::Distrusted(attempt) => self.expect_distrust(attempt),
            Act::Trouble { query, cause } => self.expect_trouble(query, cause),
            Act::Looped => self.expect_loop(),
            Act::Count { counter, of, value } => self.expect_count(counter, of.as_deref(), *value),
            Act::Clock(time) => {
                self.environment.resolver.set_unix_time(self.now, *time);
                Ok(())
            }
            Act::Pass(time) => self.pass(*time),
            Act::Nothing | Act::End => self.expect_nothing(),
        }
    }

    /// An attempt by the name an `EXPECT` gave it.
    pub(super) fn attempt(&self, name: &str) -> Result<&Attempt, TextError> {
        self.attempts.get(name).ok_or_else(|| TextError(format!("no EXPECT before this names `{name}`")))
    }

    fn ask(
        &mut self,
        client: &str,
        transport: Transport,
        packet: &Packet,
        id: Option<u16>,
    ) -> Result<(), TextError> {
        let client = self.environment.client(client, transport);
        let (octets, message) = match packet {
            Packet::Raw(octets) => (octets.clone(), text::decode(octets).ok()),
            Packet::Message(message) => {
                let mut message = message.clone();
                self.last_id += 1;
                message.metadata.id = id.unwrap_or(self.last_id);
                (text::encode(&message)?, Some(message))
            }
        };
        let (id, recursion_desired) = match *octets.as_slice() {
            [high, low, flags, ..] => (u16::from_be_bytes([high, low]), flags & 1 == 1),
            _ => (0, false),
        };
        self.open.push(Open { client, id, recursion_desired, message });
        self.environment.resolver.on_query(self.now, client, &octets, &mut self.outbox);
        self.collect();
        Ok(())
    }

    fn answer(&mut self, attempt: &str, reply: &Reply) -> Result<(), TextError> {
        let attempt = self.attempt(attempt)?;
        let id = attempt.id;
        let octets = reply_octets(reply, &attempt.asked)?;
        self.environment.resolver.on_response(self.now, id, &octets, &mut self.outbox);
        self.collect();
        Ok(())
    }

    /// Goes from deadline to deadline. What happens before the end would be missed by the steps, so it must not.
    fn pass(&mut self, time: Duration) -> Result<(), TextError> {
        self.expect_nothing()?;
        let end = self.now + time;
        for _ in 0..MOST_CALLS {
            let Some(at) = self.environment.resolver.next_timer().filter(|at| *at <= end) else {
                self.now = end;
                return Ok(());
            };
            self.now = at.max(self.now);
            self.environment.resolver.on_timer(self.now, &mut self.outbox);
            self.collect();
            if !self.sent.is_empty() && self.now < end {
                let early = end - self.now;
                return error(format!("{early:?} before the end of this time: {}", self.show_sent()));
            }
        }
        error(format!("{MOST_CALLS} deadlines and no end"))
    }

    fn collect(&mut self) {
        let (outbox, environment) = (&self.outbox, &self.environment);
        self.sent.extend(outbox.actions.iter().map(|action| Sent::new(action, outbox, environment)));
        self.outbox.clear();
    }
}

fn reply_octets(reply: &Reply, asked: &Message) -> Result<Vec<u8>, TextError> {
    let id = if reply.wrong_id { !asked.metadata.id } else { asked.metadata.id };
    match &reply.raw {
        Some(RawReply::Whole(octets)) => return Ok(octets.clone()),
        Some(RawReply::AfterId(octets)) => return Ok([&id.to_be_bytes(), octets.as_slice()].concat()),
        None => {}
    }
    let mut message = reply.message.clone();
    message.metadata.id = id;
    message.metadata.recursion_desired = asked.metadata.recursion_desired;
    message.queries =
        reply.question.as_ref().map_or_else(|| asked.queries.clone(), |other| vec![other.clone()]);
    if let (Some(edns), Some(asked)) = (&mut message.edns, &asked.edns) {
        edns.set_dnssec_ok(asked.flags().dnssec_ok);
    }
    text::encode(&message)
}
