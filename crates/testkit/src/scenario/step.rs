//! What can happen in a scenario.

use std::time::Duration;

use hickory_proto::op::{Message, Query};
use resolver::action::{AttemptFailure, Transport};

/// One line of a scenario.
#[derive(Clone, Debug)]
pub struct Step {
    /// Where it stands, from 1.
    pub line: usize,
    /// What it says.
    pub act: Act,
}

/// What a line says.
#[derive(Clone, Debug)]
pub enum Act {
    /// `ASK`: a client sends a packet.
    Ask {
        /// The client's name.
        client: String,
        /// How it comes.
        transport: Transport,
        /// What it sends; a message without an ID of its own gets one.
        packet: Packet,
        /// The ID, if the line gives one.
        id: Option<u16>,
    },
    /// `EXPECT UPSTREAM`: the server asks an upstream.
    Asked(Expected),
    /// `ANSWER`: an upstream sends a packet.
    Answer {
        /// The attempt it belongs to.
        attempt: String,
        /// What it sends.
        reply: Reply,
    },
    /// `FAIL`: an attempt brings nothing.
    Fail {
        /// The attempt.
        attempt: String,
        /// How.
        failure: AttemptFailure,
    },
    /// `RECEIVE`: the server answers a client.
    Receive(Addressed),
    /// `EXPECT forget`: an attempt is given up.
    Forgotten(String),
    /// `EXPECT distrust`: the stream of an attempt is to be closed.
    Distrusted(String),
    /// `EXPECT trouble`: the error log is told.
    Trouble {
        /// Response code, name and type.
        query: String,
        /// Why.
        cause: Cause,
    },
    /// `EXPECT loop`: our own question came back.
    Looped,
    /// `COUNT`: a counter has a value.
    Count {
        /// Which counter.
        counter: String,
        /// Of which block or upstream.
        of: Option<String>,
        /// Its value.
        value: u64,
    },
    /// `CLOCK`: it is so many seconds since 1970.
    Clock(u64),
    /// `PASS`: time passes.
    Pass(Duration),
    /// `NOTHING`: nothing is left to look at.
    Nothing,
    /// `END`: nothing else was sent.
    End,
}

/// What is sent.
#[derive(Clone, Debug)]
pub enum Packet {
    /// A message.
    Message(Message),
    /// Octets.
    Raw(Vec<u8>),
}

/// A question to an upstream as it should be; the ID is the server's own.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The upstream's name.
    pub upstream: String,
    /// What later lines call the attempt.
    pub attempt: String,
    /// How it travels.
    pub transport: Transport,
    /// On a connection that has carried nothing.
    pub fresh: bool,
    /// The message.
    pub message: Message,
}

/// What an upstream sends: flags, response code, records and OPT; the rest is as asked unless it is a lie.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The words of the line.
    pub message: Message,
    /// Another ID than that of the question.
    pub wrong_id: bool,
    /// Another question.
    pub question: Option<Query>,
    /// These octets instead of all that.
    pub raw: Option<RawReply>,
}

/// Octets with or without the ID of the question in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawReply {
    /// As they are.
    Whole(Vec<u8>),
    /// The ID of the question, and these.
    AfterId(Vec<u8>),
}

/// An answer to a client as it should be.
#[derive(Clone, Debug)]
pub struct Addressed {
    /// The client's name.
    pub client: String,
    /// The ID; nothing for that of any open question of the client.
    pub id: Option<u16>,
    /// A header without question and RA.
    pub bare: bool,
    /// The words of the line.
    pub message: Message,
}

/// Why a query ended without an answer of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// An attempt at the named upstream.
    Upstream(AttemptFailure, Transport, String),
    /// `max_concurrent`.
    TooManyConcurrent(u32),
    /// Limit of open questions.
    TooManyInFlight,
    /// Limit of clients that wait for one question.
    TooManyWaiters,
    /// Limit of questions of one client that wait.
    TooManyOfClient,
    /// No `forward` takes the name.
    NoForward,
}
