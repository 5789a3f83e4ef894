//! Scenarios: one behaviour of the server as a DNS conversation in a file (`.rpl`), run against a
//! [`resolver::Resolver`] in virtual time. The keywords are those of unbound's testbound replays.
//!
//! ```text
//! ; Equal concurrent queries are coalesced: one upstream query, a response to each client.
//! CONFIG           cache success 9984 30
//! QUERY            a  www.example.test A  id=1
//! QUERY            b  www.example.test A  id=2
//! CHECK_OUT_QUERY  upstream  www.example.test A        ; exactly one
//! REPLY            upstream  www.example.test 30 A 192.0.2.7
//! CHECK_ANSWER     a  id=1  www.example.test 30 A 192.0.2.7
//! CHECK_ANSWER     b  id=2  www.example.test 30 A 192.0.2.7
//! TIME_PASSES      12s
//! QUERY            a  WWW.example.test A  id=3
//! CHECK_ANSWER     a  id=3  WWW.example.test 18 A 192.0.2.7   ; from the cache, TTL aged
//! END                                                         ; nothing else was sent
//! ```
//!
//! The first line is the title. `;` at the start of a line or after a space begins a comment; a
//! line that begins with a space continues the line above. Every action of the resolver must be
//! checked by a step before time passes and before `END`; none is skipped. Names are absolute with
//! or without the trailing dot; messages are written as in [`crate::text`].
//!
//! | line | meaning |
//! |---|---|
//! | `CONFIG DIRECTIVE …` | configuration, before the first step |
//! | `QUERY CLIENT NAME TYPE [CLASS] [tcp] [id=N] MESSAGE…` | a client sends a query, with RD, over UDP; one whose name begins with `v6` from an IPv6 address |
//! | `QUERY CLIENT [tcp] raw=HEX` | a client sends octets |
//! | `CHECK_OUT_QUERY UPSTREAM [as ATTEMPT] NAME TYPE [CLASS] [udp] [fresh] [on=CONNECTION] MESSAGE…` | the next query to an upstream |
//! | `REPLY ATTEMPT MESSAGE…` | the upstream responds on the connection of the attempt: ID, question, RD and DO of the query, RA, OPT |
//! | `PARTIAL CONNECTION` | the beginning of a message arrives on the connection |
//! | `CLOSED CONNECTION`, `RESET CONNECTION` | the upstream closes or resets the connection |
//! | `FAIL CONNECTION FAILURE` | the connection cannot be established, or fails |
//! | `UNSENT ATTEMPT FAILURE` | the query could not be written; its connection goes on |
//! | `ESTABLISHED CONNECTION` | the connection is established |
//! | `UNACKNOWLEDGED CONNECTION` | octets sent on the connection, or its SYN, are not acknowledged; the resolver must have asked |
//! | `CHECK_DIAL UPSTREAM as CONNECTION [udp]` | the next connection that the resolver opens |
//! | `CHECK_CLOSE CONNECTION` | the resolver closed the connection |
//! | `CHECK_ANSWER CLIENT [id=N] [upstream=UPSTREAM] [length=N] [header_only] MESSAGE…` | the next response to that client |
//! | `CHECK_ERROR RCODE NAME TYPE CAUSE` | the failed query was reported to the error log |
//! | `CHECK_LOOP` | the `loop` query came back |
//! | `CHECK_COUNTER NAME [ZONE or UPSTREAM] N` | a field of [`resolver::counters`] |
//! | `CHECK_COUNTER responses [DIRECTIVE] N` | responses that a directive has written, or that none has |
//! | `CHECK_NOTHING` | no action is left unchecked |
//! | `TIME_PASSES DURATION` | actions on timers must occur at the very end of it |
//! | `WALL_CLOCK SECONDS` | sets the wall clock, for RRSIG validity |
//! | `END` | no action is left unchecked; the last line |
//!
//! * Directives are those of the Corefile: `bufsize`, `loop NAME`, `whoami`, `rewrite`, `header response|query set|clear FLAG`, `minimal`,
//!   `dns64 [translate_all] [allow_ipv4]` with the well-known prefix, the options of `cache` after
//!   the word `cache`, `template CLASS TYPE [ZONE…]` and its options, each after the word `template`,
//!   with their texts unquoted; `forward FROM UPSTREAM…` and then the options of that `forward`. In
//!   addition: `zone ZONE…` begins a server block; `cache none`, `forward none`; `cache
//!   stale_on_outage off` is the flag `-stale-on-outage=false`; `as_client` forwards with the
//!   client's transport (the Corefile's default); `limit FIELD N` sets a field of
//!   [`resolver::policy::ResolverLimits`], `limit waiting_octets N` the memory of waiting queries. The default is one server block for `.` with the default
//!   `cache` and one upstream, named `upstream`, over TCP; upstreams are tried in order, health
//!   checks and hedging are off, retransmission to another upstream is not. An upstream written
//!   `tls://NAME` is reached over TLS.
//! * A query to an upstream goes over TCP, with RD, AD and an OPT of 1232 octets unless the line
//!   says otherwise. Later lines name it ATTEMPT, or by the upstream's name. With `fresh`, it is the
//!   first query on its connection. Over TCP, `fresh` must be there for such a query if another
//!   connection to the upstream is open.
//! * CONNECTION is the name that `on=` gave to a connection when a line mentioned it first, or an
//!   ATTEMPT on it. A connection is established when the upstream first responds or closes it,
//!   and when at least a second passes. With `CONFIG connections` it is established by
//!   `ESTABLISHED`, and every dial and close must be checked.
//! * Spoofed replies have `id=wrong`, `question=NAME/TYPE[/CLASS]` or `raw=HEX`, where a leading
//!   `ID` stands for the two octets of the query's ID. `trailing=N` adds N octets after the message.
//! * FAILURE is `refused`, `unreachable`, `dial_timeout`, `tls_handshake`, `timeout`, `closed`,
//!   `mismatched`, `local`, `filtered` or `all_down`. CAUSE is `FAILURE tcp|udp UPSTREAM`, `max_concurrent
//!   N`, `waiting_memory`, `waiters_per_query`, `client_share`, `nothing_behind DIRECTIVE`, `invalid_name` or
//!   `template SECTION REASON`.
//! * `CHECK_ANSWER` compares the whole message: records, their order and TTLs, flags and OPT.
//!   Question (with its case), RD and, if not given, ID are those of a query of the client; RA is
//!   set. `header_only` is a header without question and RA. `upstream=` is the upstream that the log
//!   names, or `none`, and `length=` the length that is logged and counted. A UDP response must fit the
//!   client's payload size and ours.

mod check;
mod config;
mod connections;
mod counters;
mod environment;
mod error;
mod output;
mod parser;
mod runner;
mod step;
mod tokens;

pub use config::{Block, Config, Forward};
pub use error::ScenarioError;
pub use runner::run;
pub use step::{Cause, ExpectedQuery, ExpectedResponse, Packet, RawReply, Reply, Scenario, Step, StepKind};
