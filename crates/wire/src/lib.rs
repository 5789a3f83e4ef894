//! DNS messages as bytes with meaning.
//!
//! This room turns octets into the few facts a node cache acts on and back into octets. It has no clock, no
//! I/O and no log, and nothing on the way of a cache hit allocates: [`Query::parse`] borrows the packet,
//! [`Answer::write`] copies stored octets into a buffer of the caller.
//!
//! Reading order: [`header`] (twelve octets), [`name`], [`edns`] (OPT), [`query`] (a client's message),
//! [`response`] (an upstream's message: what it says and where its TTLs are), [`answer`] (a stored response,
//! aged and cut for one client), [`reply`] (messages of our own), [`frame`] (length prefix on streams).
//!
//! hickory-proto appears once, in [`query`], as the judge of client messages the fast reader does not take.
#![forbid(unsafe_code)]

pub mod answer;
pub mod edns;
pub mod frame;
pub mod header;
mod mnemonic;
pub mod name;
mod octets;
pub mod query;
mod record;
pub mod reply;
pub mod response;
mod scrub;

pub use answer::Answer;
pub use query::Query;
pub use response::Response;
