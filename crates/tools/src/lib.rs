//! Comparison of name servers: questions, variants of a query, and a parser of responses that is
//! independent of the code under test.
#![forbid(unsafe_code)]

pub mod message;
pub mod question;
pub mod rng;
pub mod variants;
