//! Insight into queries: what workers report of single queries and responses.
//!
//! Workers never wait here: a report that does not fit is dropped and counted. Of many responses few are
//! sampled (`sampler`), for names by count and latency (`names`) and for clients (`clients`), in bounded
//! memory. While nobody traces, a batch of responses costs one atomic load.

mod clients;
mod latency;
mod names;
mod observer;
mod question;
mod sample;
mod sampler;
mod space_saving;
mod statistics;
mod trace;

pub(crate) use observer::{Observed, Observer};
pub(crate) use statistics::Statistics;
#[cfg(test)]
pub(crate) use trace::PENDING_OCTETS;
pub(crate) use trace::{
    MAX_PENDING, Subscription, TraceEvent, TraceFilter, TraceHub, Traced, TracedResponse,
};
