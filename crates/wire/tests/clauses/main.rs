//! The clauses of the RFCs and the rows of the incumbent's behaviour that this room answers for, one by one.
#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected fails")]

mod answers;
mod builder;
mod captured;
mod chains;
mod frames;
mod names;
mod packets;
mod queries;
mod relayed;
mod replies;
mod responses;
mod sizes;
