//! Runs a scenario against a resolver in virtual time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hickory_proto::op::Message;
use resolver::action::{AttemptFailure, Client, Outbox, Transport, UpstreamConnectionId};

use super::connections::Connections;
use super::environment::Environment;
use super::error::ScenarioError;
use super::output::Output;
use super::step::{Packet, RawReply, Reply, Scenario, StepKind};
use crate::text::{self, TextError, error};

/// Calls of `on_timer` in one `TIME_PASSES` after which the resolver is taken to loop.
const MAX_TIMER_CALLS: usize = 1000;

/// Time after which connections are established, unless the scenario checks them.
const ESTABLISHED_AFTER: Duration = Duration::from_secs(1);

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
    pub(super) connection: UpstreamConnectionId,
    pub(super) query: Message,
}

/// State of a run.
#[derive(Debug)]
pub(super) struct Runner {
    pub(super) environment: Environment,
    pub(super) outputs: Vec<Output>,
    pub(super) open_queries: Vec<OpenQuery>,
    pub(super) attempts: BTreeMap<String, Attempt>,
    pub(super) connections: Connections,
    /// Dials and closes must be checked, and nothing is established by itself.
    check_connections: bool,
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
        let now = Instant::now();
        Self {
            environment: Environment::new(&scenario.config, now),
            outputs: Vec::new(),
            open_queries: Vec::new(),
            attempts: BTreeMap::new(),
            connections: Connections::default(),
            check_connections: scenario.config.check_connections,
            now,
            outbox: Outbox::default(),
            last_id: 0,
        }
    }

    fn step(&mut self, step: &StepKind) -> Result<(), TextError> {
        match step {
            StepKind::Query { client, transport, packet, id } => self.query(client, *transport, packet, *id),
            StepKind::Reply { attempt, reply } => self.reply(attempt, reply),
            StepKind::Established(connection) => {
                let id = self.connections.named(connection)?;
                self.establish(id);
                Ok(())
            }
            StepKind::Partial(connection) => {
                let id = self.connections.named(connection)?;
                self.environment.resolver.on_partial_message(self.now, id, &mut self.outbox);
                self.collect();
                Ok(())
            }
            StepKind::Unacknowledged(connection) => self.unacknowledged(connection),
            StepKind::Fail { connection, failure } => self.fail(connection, *failure),
            StepKind::Unsent { attempt, failure } => self.unsent(attempt, *failure),
            StepKind::CheckDial { upstream, connection, transport } => {
                self.check_dial(upstream, connection, *transport)
            }
            StepKind::CheckClose(connection) => self.check_close(connection),
            StepKind::WallClock(seconds) => {
                self.environment.resolver.set_unix_time(self.now, *seconds);
                Ok(())
            }
            StepKind::TimePasses(time) => self.time_passes(*time),
            StepKind::CheckOutQuery(expected) => self.check_out_query(expected),
            StepKind::CheckAnswer(expected) => self.check_answer(expected),
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
        let connection = attempt.connection;
        let octets = reply_octets(reply, &attempt.query)?;
        if !self.check_connections {
            self.establish(connection);
        }
        self.environment.resolver.on_response(self.now, connection, &octets, &mut self.outbox);
        self.collect();
        Ok(())
    }

    /// A connection is established, unless it was before.
    fn establish(&mut self, id: UpstreamConnectionId) {
        if self.connections.establish(id) {
            self.environment.resolver.on_connected(self.now, id, &mut self.outbox);
            self.collect();
        }
    }

    /// Octets sent on a connection are not acknowledged.
    fn unacknowledged(&mut self, name: &str) -> Result<(), TextError> {
        let id = self.connection(name)?;
        if !self.connections.take_check(id) {
            return error(format!("the resolver has not asked whether `{name}` is acknowledged"));
        }
        self.environment.resolver.on_unacknowledged(self.now, id, &mut self.outbox);
        self.collect();
        Ok(())
    }

    /// A connection, by an attempt on it or by its name.
    fn connection(&self, name: &str) -> Result<UpstreamConnectionId, TextError> {
        let attempt = self.attempts.get(name).map(|attempt| attempt.connection);
        attempt.map_or_else(|| self.connections.named(name), Ok)
    }

    /// A connection ends. One that is closed must have been established.
    fn fail(&mut self, name: &str, failure: AttemptFailure) -> Result<(), TextError> {
        let id = self.connection(name)?;
        if failure == AttemptFailure::Closed && !self.check_connections {
            self.establish(id);
        }
        self.connections.close(id);
        self.environment.resolver.on_disconnected(self.now, id, failure, &mut self.outbox);
        self.collect();
        Ok(())
    }

    /// The query of an attempt could not be written.
    fn unsent(&mut self, name: &str, failure: AttemptFailure) -> Result<(), TextError> {
        let attempt = self.attempt(name)?;
        let (id, unsent) = (attempt.connection, (attempt.query.metadata.id, failure));
        self.environment.resolver.on_unsent(self.now, id, unsent, &mut self.outbox);
        self.collect();
        Ok(())
    }

    /// True for output that a step must check.
    pub(super) fn must_be_checked(&self, output: &Output) -> bool {
        match output {
            Output::Dial(_) | Output::Close(_) => self.check_connections,
            Output::Check => false,
            _ => true,
        }
    }

    pub(super) fn has_unchecked(&self) -> bool {
        self.outputs.iter().any(|output| self.must_be_checked(output))
    }

    /// Advances the clock from timer to timer. Output before the end is an error: no step could
    /// check when it came.
    fn time_passes(&mut self, time: Duration) -> Result<(), TextError> {
        self.check_nothing()?;
        if !self.check_connections && time >= ESTABLISHED_AFTER {
            self.connections.all().into_iter().for_each(|id| self.establish(id));
        }
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
            if self.has_unchecked() && self.now < end {
                let early = end - self.now;
                let outputs = self.format_outputs();
                return error(format!("{early:?} before the end of this time: {outputs}"));
            }
        }
        error(format!("timers still due after {MAX_TIMER_CALLS} calls"))
    }

    fn collect(&mut self) {
        let Self { outbox, environment, connections, .. } = self;
        let outputs = outbox.actions.iter();
        let outputs = outputs.map(|action| Output::new(action, outbox, environment, connections));
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
    let mut octets = text::encode(&message)?;
    octets.resize(octets.len().saturating_add(reply.trailing), 0);
    Ok(octets)
}
