//! DNS messages as octets: parsing, caching form, responses.
//!
//! Reads the few facts that a node cache acts on and writes octets again. The crate has no clock,
//! no I/O and no log. Nothing on the path of a cache hit allocates: [`Query::parse`] borrows the
//! packet, [`Answer::write`] copies stored octets into the caller's buffer.
//!
//! Reading order: [`header`] (twelve octets), [`name`], [`edns`] (OPT), [`query`] (a client's
//! query), [`response`] (an upstream's response: its type, the positions of its TTLs), [`answer`]
//! (a response as it is cached and relayed: TTLs, header, truncation), [`reply`] (responses of our
//! own without records), [`synthesized`] (those with records), [`zone_record`] (records written as in
//! zone files), [`editable`] (responses with changed records), [`frame`] (length prefix on TCP).
//!
//! hickory-proto validates queries that the fast parser does not take ([`query`]), encodes records of
//! our own ([`synthesized`], [`zone_record`]), and prints records for people ([`record_text`]).
#![forbid(unsafe_code)]

pub mod address_order;
pub mod answer;
mod compress;
pub mod editable;
pub mod edns;
mod encode;
pub mod frame;
pub mod header;
mod mnemonic;
pub mod name;
mod octets;
pub mod query;
mod record;
pub mod record_text;
pub mod reply;
pub mod response;
pub mod reverse;
pub mod synthesized;
mod ttl_positions;
pub mod zone_record;

pub use answer::Answer;
pub use query::Query;
pub use response::Response;
