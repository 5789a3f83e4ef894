//! Comparison of name servers: command line, questions, variants of a query, and a parser of
//! responses that is independent of the code under test.
#![forbid(unsafe_code)]

pub mod command_line;
pub mod failing_zones;
pub mod message;
pub mod question;
pub mod rng;
pub mod variants;
