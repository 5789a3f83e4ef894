//! One behaviour of the server, told as a DNS conversation in a file.
//!
//! ```text
//! ; Two clients ask the same missing name: one question goes upstream, both are answered.
//! POLICY  cache success 9984 30
//! ASK     a  www.example.test A  id=1
//! ASK     b  www.example.test A  id=2
//! EXPECT  upstream  www.example.test A        ; exactly one
//! ANSWER  upstream  www.example.test 30 A 192.0.2.7
//! RECEIVE a  id=1  www.example.test 30 A 192.0.2.7
//! RECEIVE b  id=2  www.example.test 30 A 192.0.2.7
//! PASS    12s
//! ASK     a  WWW.example.test A  id=3
//! RECEIVE a  id=3  WWW.example.test 18 A 192.0.2.7   ; from memory, older
//! END                                                ; nothing else was sent
//! ```
//!
//! The first line is the title. `;` at the start of a line or behind a space begins a comment; a line that begins
//! with a space continues the one above it. Whatever the server does must be asked for by a step, before time
//! passes on and before `END`: nothing is skipped. Names are whole names with or without the last dot; messages
//! are written as [`crate::text`] has them.
//!
//! | line | meaning |
//! |---|---|
//! | `POLICY DIRECTIVE …` | what the server is told, before the first step |
//! | `ASK CLIENT NAME TYPE [CLASS] [tcp] [id=N] WORDS…` | a client asks, with RD, by UDP |
//! | `ASK CLIENT [tcp] raw=HEX` | a client sends octets |
//! | `EXPECT UPSTREAM [as ATTEMPT] NAME TYPE [CLASS] [udp] [fresh] WORDS…` | the next question to an upstream |
//! | `ANSWER ATTEMPT WORDS…` | the upstream answers: ID, question, RD and DO as asked, RA, OPT |
//! | `FAIL ATTEMPT HOW` | the attempt brings nothing |
//! | `RECEIVE CLIENT [id=N] [bare] WORDS…` | the next answer to that client |
//! | `EXPECT forget ATTEMPT` | the attempt is given up |
//! | `EXPECT distrust ATTEMPT` | the stream of the attempt takes no more questions |
//! | `EXPECT trouble RCODE NAME TYPE CAUSE` | what the error log is told |
//! | `EXPECT loop` | the server's own loop question came back to it |
//! | `COUNT WHAT [WHICH] N` | a counter; WHICH is a zone or an upstream where there are several |
//! | `NOTHING` | nothing is left to look at |
//! | `PASS TIME` | time passes; what the server does on its own must happen at the very end of it |
//! | `END` | nothing else was sent |
//!
//! * Directives: `zone ZONE…` begins a block. `bufsize N`. `cache none`, `cache zones|success|denial|servfail|disable|keepttl …`.
//!   `forward FROM UPSTREAM…` or `forward none`, and of the last forward `except`, `policy`, `force_tcp`,
//!   `prefer_udp`, `as_client`, `max_concurrent`, `read_timeout`, `max_connect_attempts`, `max_fails`, `health_check`,
//!   `failfast_all_unhealthy_upstreams`, `failover`, `next`, `next_on_nodata`. `loop PROBE`.
//!   `limit flights|refreshes|waiters|hedges|deadline`. Unless told otherwise there is one block for `.` with the Corefile's
//!   defaults of `cache` and one upstream, named `upstream`, over TCP; several upstreams are asked in order, none is
//!   probed, and no attempt is made before the one before it has ended. An upstream written `tls://NAME` is reached by TLS.
//! * A question to an upstream goes by TCP, on any connection, with RD, AD and an OPT of 1232 octets unless words
//!   say otherwise. Later lines call it ATTEMPT, or by the upstream's name.
//! * What should not be believed is answered with `id=wrong`, `question=NAME/TYPE[/CLASS]` or `raw=HEX`, where `ID`
//!   in front stands for the two octets of the ID.
//! * HOW is `refused`, `unreachable`, `dial-timed-out`, `timed-out`, `closed`, `closed-reused`, `local` or
//!   `all-down`; CAUSE is
//!   `HOW tcp|udp UPSTREAM`, `max_concurrent N`, `flights`, `waiters` or `no-forward`.
//! * A client receives exactly the records of the line, in their order, with their TTLs. The question with its
//!   letters' case, RD and, unless given, the ID are those of a question it asked; RA is set. `bare` is a header
//!   without question and RA. A UDP answer must be within the client's size and ours.
//!
//! Steps know nothing of what plays them. [`run`] drives a [`resolver::Resolver`] in virtual time.

mod counters;
mod environment;
mod expectation;
mod parser;
mod runner;
mod sent;
mod settings;
mod step;
mod tokens;

use std::fmt;
use std::path::Path;

pub use runner::run;
pub use settings::{Block, Forward, Settings};
pub use step::{Act, Addressed, Cause, Expected, Packet, RawReply, Reply, Step};

/// A scenario as read.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Where it stands, for failures.
    pub file: String,
    /// The first line: one behaviour.
    pub title: String,
    /// What the server is told.
    pub settings: Settings,
    /// What happens, in order; the last one is [`Act::End`].
    pub steps: Vec<Step>,
}

impl Scenario {
    /// Reads a scenario from its file.
    ///
    /// # Errors
    /// The file cannot be read, or a line is not understood.
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(file, &text),
            Err(error) => Err(ScenarioError { file, line: 0, what: error.to_string() }),
        }
    }

    /// Reads a scenario from `text`, which stands in `file`.
    ///
    /// # Errors
    /// A line is not understood.
    pub fn parse(file: String, text: &str) -> Result<Self, ScenarioError> {
        parser::parse(&file, text).map_err(|(line, error)| ScenarioError { file, line, what: error.0 })
    }
}

/// Why a scenario was not played to its end.
#[derive(Clone, Debug)]
pub struct ScenarioError {
    /// The scenario's file.
    pub file: String,
    /// The line of the step, from 1.
    pub line: usize,
    /// What was expected and what came, as text.
    pub what: String,
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

impl std::error::Error for ScenarioError {}
