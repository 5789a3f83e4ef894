//! Conformance: clauses of the RFCs, and behaviour of node-cache and CoreDNS, one by one.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod address_order;
mod answers;
mod captured;
mod cname_chain;
mod editable;
mod expansion;
mod frames;
mod message_builder;
mod names;
mod packets;
mod queries;
mod rdata;
mod replies;
mod responses;
mod scrub;
mod synthesized;
mod truncation;
mod zone_records;
