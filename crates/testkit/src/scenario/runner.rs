//! Runs a scenario against a resolver in virtual time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hickory_proto::op::Message;
use resolver::action::{AttemptId, Client, Outbox, Transport};

use super::environment::Environment;
use super::error::ScenarioError;
use super::output::Output;
use super::step::{Packet, RawReply, Reply, Scenario, StepKind};
use crate::text::{self, TextError, error};

/// Calls of `on_timer` in one `TIME_PASSES` after which the resolver is taken to loop.
const MAX_TIMER_CALLS: usize = 1000;

/// Runs `scenario`.
///
/// # Errors
/// The first step that fails.
pub fn run(scenario: &Scenario) -> Result<(), ScenarioError> {
    let mut runner = Runner::new(scenario);
    for step in &scenario.steps {
        runner.step(&step.kind).map_err(|error| ScenarioError {
            file: scenario.file.clone(),
            line: step.line,
            reason: error.0,
        })?;
    }
    Ok(())
}

/// A query of a client without a response so far.
#[derive(Debug)]
pub(super) struct OpenQuery {
    pub(super) client: Client,
    pub(super) id: u16,
    pub(super) recursion_desired: bool,
    /// `None` for octets that are not a DNS message.
    pub(super) message: Option<Message>,
}

/// A query that the resolver sent to an upstream.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) id: AttemptId,
    pub(super) query: Message,
}

/// State of a run.
#[derive(Debug)]
pub(super) struct Runner {
    pub(super) environment: Environment,
    pub(super) outputs: Vec<Output>,
    pub(super) open_queries: Vec<OpenQuery>,
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
            environment: Environment::new(&scenario.config),
            outputs: Vec::new(),
            open_queries: Vec::new(),
            attempts: BTreeMap::new(),
            now: Instant::now(),
            outbox: Outbox::default(),
            last_id: 0,
        }
    }

    fn step(&mut self, step: &StepKind) -> Result<(), TextError> {
        match step {
            StepKind::Query { client, transport, packet, id } => self.query(client, *transport, packet, *id),
            StepKind::Reply { attempt, reply } => self.reply(attempt, reply),
            StepKind::Fail { attempt, failure } => {
                let attempt = self.attempt(attempt)?.id;
                let resolver = &mut self.environment.resolver;
                resolver.on_failure(self.now, attempt, *failure, &mut self.outbox);
                self.collect();
                Ok(())
            }
            StepKind::WallClock(seconds) => {
                self.environment.resolver.set_unix_time(self.now, *seconds);
                Ok(())
            }
            StepKind::TimePasses(time) => self.time_passes(*time),
            StepKind::CheckOutQuery(expected) => self.check_out_query(expected),
            StepKind::CheckAnswer(expected) => self.check_answer(expected),
            StepKind::CheckCancel(attempt) => self.check_cancel(attempt),
            StepKind::CheckQuarantine(attempt) => self.check_quarantine(attempt),
            StepKind::CheckError { query, cause } => self.check_error(query, cause),
            StepKind::CheckLoop => self.check_loop(),
            StepKind::CheckCounter { counter, of, value } => {
                self.check_counter(counter, of.as_deref(), *value)
            }
            StepKind::CheckNothing | StepKind::End => self.check_nothing(),
        }
    }

    /// The attempt that a `CHECK_OUT_QUERY` named.
    pub(super) fn attempt(&self, name: &str) -> Result<&Attempt, TextError> {
        let missing = || TextError(format!("no CHECK_OUT_QUERY before this names `{name}`"));
        self.attempts.get(name).ok_or_else(missing)
    }

    fn query(
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
        self.open_queries.push(OpenQuery { client, id, recursion_desired, message });
        self.environment.resolver.on_query(self.now, client, &octets, &mut self.outbox);
        self.collect();
        Ok(())
    }

    fn reply(&mut self, attempt: &str, reply: &Reply) -> Result<(), TextError> {
        let attempt = self.attempt(attempt)?;
        let id = attempt.id;
        let octets = reply_octets(reply, &attempt.query)?;
        self.environment.resolver.on_response(self.now, id, &octets, &mut self.outbox);
        self.collect();
        Ok(())
    }

    /// Advances the clock from timer to timer. Output before the end is an error: no step could
    /// check when it came.
    fn time_passes(&mut self, time: Duration) -> Result<(), TextError> {
        self.check_nothing()?;
        let end = self.now + time;
        for _ in 0..MAX_TIMER_CALLS {
            let timer = self.environment.resolver.next_timer().filter(|at| *at <= end);
            let Some(at) = timer else {
                self.now = end;
                return Ok(());
            };
            self.now = at.max(self.now);
            self.environment.resolver.on_timer(self.now, &mut self.outbox);
            self.collect();
            if !self.outputs.is_empty() && self.now < end {
                let early = end - self.now;
                let outputs = self.format_outputs();
                return error(format!("{early:?} before the end of this time: {outputs}"));
            }
        }
        error(format!("timers still due after {MAX_TIMER_CALLS} calls"))
    }

    fn collect(&mut self) {
        let (outbox, environment) = (&self.outbox, &self.environment);
        let outputs = outbox.actions.iter().map(|action| Output::new(action, outbox, environment));
        self.outputs.extend(outputs);
        self.outbox.clear();
    }
}

fn reply_octets(reply: &Reply, query: &Message) -> Result<Vec<u8>, TextError> {
    let id = if reply.wrong_id { !query.metadata.id } else { query.metadata.id };
    match &reply.raw {
        Some(RawReply::Whole(octets)) => return Ok(octets.clone()),
        Some(RawReply::AfterId(octets)) => {
            return Ok([&id.to_be_bytes(), octets.as_slice()].concat());
        }
        None => {}
    }
    let mut message = reply.message.clone();
    message.metadata.id = id;
    message.metadata.recursion_desired = query.metadata.recursion_desired;
    let question = reply.question.as_ref();
    message.queries = question.map_or_else(|| query.queries.clone(), |question| vec![question.clone()]);
    if let (Some(edns), Some(query)) = (&mut message.edns, &query.edns) {
        edns.set_dnssec_ok(query.flags().dnssec_ok);
    }
    text::encode(&message)
}
