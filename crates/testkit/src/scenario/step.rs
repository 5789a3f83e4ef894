//! A scenario as parsed: configuration and steps.

use std::time::Duration;

use hickory_proto::op::{Message, Query};
use resolver::action::{AttemptFailure, Transport};

use super::config::Config;

/// One behaviour of the server as a DNS conversation.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Path of the file, for error messages.
    pub file: String,
    /// The first line: the behaviour in a sentence.
    pub title: String,
    /// The `CONFIG` lines.
    pub config: Config,
    /// The steps in order; the last one is [`StepKind::End`].
    pub steps: Vec<Step>,
}

/// One line of a scenario.
#[derive(Clone, Debug)]
pub struct Step {
    /// Line number, from 1.
    pub line: usize,
    /// What the line does or checks.
    pub kind: StepKind,
}

/// An event for the resolver, or a check of what it did.
#[derive(Clone, Debug)]
pub enum StepKind {
    /// `QUERY`: a client sends a packet.
    Query {
        /// The client's name.
        client: String,
        /// Transport of the query.
        transport: Transport,
        /// What it sends; a message without an ID of its own gets the next one.
        packet: Packet,
        /// The ID, if the line gives one.
        id: Option<u16>,
    },
    /// `CHECK_OUT_QUERY`: the resolver sent a query to an upstream.
    CheckOutQuery(ExpectedQuery),
    /// `REPLY`: an upstream sends a packet.
    Reply {
        /// The attempt that it answers.
        attempt: String,
        /// What it sends.
        reply: Reply,
    },
    /// `ESTABLISHED`: a connection is established.
    Established(String),
    /// `PARTIAL`: a message arrives on a connection in part.
    Partial(String),
    /// `UNACKNOWLEDGED`: octets sent on a connection, or its SYN, are not acknowledged.
    Unacknowledged(String),
    /// `FAIL`, `CLOSED`, `RESET`: a connection cannot be established, or ends.
    Fail {
        /// An attempt on it, or its name.
        connection: String,
        /// The reason.
        failure: AttemptFailure,
    },
    /// `UNSENT`: a query could not be written on its connection.
    Unsent {
        /// The attempt.
        attempt: String,
        /// The reason.
        failure: AttemptFailure,
    },
    /// `CHECK_DIAL`: the resolver opened a connection.
    CheckDial {
        /// The upstream's name.
        upstream: String,
        /// The name of the connection in later lines.
        connection: String,
        /// A stream or a socket.
        transport: Transport,
    },
    /// `CHECK_CLOSE`: the resolver closed a connection.
    CheckClose(String),
    /// `CHECK_ANSWER`: the resolver sent a response to a client.
    CheckAnswer(ExpectedResponse),
    /// `CHECK_ERROR`: a failed query was reported to the error log.
    CheckError {
        /// Response code, name and type.
        query: String,
        /// Why it failed.
        cause: Cause,
    },
    /// `CHECK_LOOP`: the `loop` query came back.
    CheckLoop,
    /// `CHECK_COUNTER`: a counter has a value.
    CheckCounter {
        /// The counter's name.
        counter: String,
        /// A zone of the server block, or the upstream.
        of: Option<String>,
        /// Its value.
        value: u64,
    },
    /// `WALL_CLOCK`: sets the wall clock, in seconds since 1970.
    WallClock(u64),
    /// `TIME_PASSES`: virtual time passes.
    TimePasses(Duration),
    /// `CHECK_NOTHING`: no action is left unchecked.
    CheckNothing,
    /// `END`: the same, as the last step.
    End,
}

/// A packet from a client.
#[derive(Clone, Debug)]
pub enum Packet {
    /// A message.
    Message(Message),
    /// Octets.
    Raw(Vec<u8>),
}

/// An expected query to an upstream; the resolver chooses the ID.
#[derive(Clone, Debug)]
pub struct ExpectedQuery {
    /// The upstream's name.
    pub upstream: String,
    /// The name of the attempt in later lines.
    pub attempt: String,
    /// Transport.
    pub transport: Transport,
    /// On a further connection that has carried no query yet.
    pub fresh: bool,
    /// The name of the connection.
    pub connection: Option<String>,
    /// The message.
    pub message: Message,
}

/// A packet from an upstream: ID and question are those of the query unless overridden here.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Flags, response code, records and OPT.
    pub message: Message,
    /// The ID does not match the query.
    pub wrong_id: bool,
    /// Another question than that of the query.
    pub question: Option<Query>,
    /// Octets sent in place of the message.
    pub raw: Option<RawReply>,
    /// Number of octets after the message.
    pub trailing: usize,
}

/// Octets of a reply, with or without the ID of the query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawReply {
    /// As they are.
    Whole(Vec<u8>),
    /// After the ID of the query.
    AfterId(Vec<u8>),
}

/// An expected response to a client.
#[derive(Clone, Debug)]
pub struct ExpectedResponse {
    /// The client's name.
    pub client: String,
    /// The ID; if none, that of any open query of the client.
    pub id: Option<u16>,
    /// The name of the upstream that it is from, or that was queried last, or `none`; not checked if
    /// absent.
    pub upstream: Option<String>,
    /// Its length as counted; not checked if absent.
    pub length: Option<u32>,
    /// No question section, and RA clear.
    pub header_only: bool,
    /// Flags, response code, records and OPT.
    pub message: Message,
}

/// Why a query failed without a response from an upstream; as [`resolver::action::Cause`], with
/// names in place of addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The last attempt at the named upstream failed.
    Upstream(AttemptFailure, Transport, String),
    /// Limit `max_concurrent` of `forward`.
    TooManyConcurrent(u32),
    /// Limit of in-flight queries.
    TooManyInFlight,
    /// Limit of waiters of one in-flight query.
    TooManyWaiters,
    /// Limit of waiting queries of one client.
    TooManyPerClient,
    /// No directive answers the name; the last one.
    NoNextDirective(String),
    /// `rewrite` has made an invalid name.
    InvalidName,
    /// A `template` has no record for the query: the section, and the reason.
    Template(String, String),
}
