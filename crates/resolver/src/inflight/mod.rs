//! Queries in flight upstream: coalescing, waiters, sharing across workers, quotas, completion.

pub(crate) mod coalesce;
pub(crate) mod completion;
pub(crate) mod query;
pub(crate) mod quotas;
pub mod shared;
