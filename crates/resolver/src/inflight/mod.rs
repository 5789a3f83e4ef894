//! Queries in flight to upstreams: coalescing, waiters, sharing across workers, quotas, completion.

pub(crate) mod coalesce;
pub(crate) mod completion;
pub(crate) mod query;
pub(crate) mod quotas;
pub mod result;
pub mod shared;
