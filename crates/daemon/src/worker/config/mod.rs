//! Builds the configuration of every worker from Corefile settings.
//!
//! [`WorkerConfigBuilder`] allocates identifiers (`ids`), creates the state that workers share
//! (`shared`) and builds one configuration per worker (`per_worker`).

mod block_ids;
mod builder;
mod ids;
mod ids_exhausted;
mod per_worker;
mod shared;

pub(crate) use builder::{LoopDetection, WorkerConfigBuilder, WorkerConfigs};
pub(crate) use ids_exhausted::IdsExhausted;
