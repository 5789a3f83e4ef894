//! Validated configuration of a resolver: listeners, zones, server blocks, `forward` and `cache`
//! options.
//!
//! `daemon` builds a [`Policy`] per worker from a Corefile's settings, because the counters in it
//! belong to one worker. [`ForwardOptions`] and [`CacheOptions`] are plain data that Corefile
//! settings embed as well. No file here depends on the rest of the resolver except for counters,
//! cache usage and `Transport`.

mod acl;
mod block;
mod cache_options;
mod dns64;
mod forward;
mod forward_options;
mod front_plugin;
mod hosts;
mod id;
mod limits;
mod listener;
mod load_balance;
mod local_plugin;
mod loop_detector;
mod message_changes;
mod min_rtt;
mod network;
mod outage;
mod packet_loss;
mod pool_options;
pub mod rewrite;
mod shared_instant;
pub mod template;

pub use acl::{AclAction, AclPolicy, AclRule};
pub use block::Block;
pub use cache_options::{CacheOptions, Prefetch, ServeStale, ServeStaleMode, StoreOptions};
pub use dns64::{Dns64, Nat64Prefix};
pub(crate) use forward::SILENT_AFTER;
pub use forward::{Forward, ForwardState, Upstream, UpstreamState, UpstreamStatus};
pub use forward_options::{
    ForwardOptions, HealthCheck, MaxConnectAttempts, SelectionPolicy, TransportPreference,
};
pub use front_plugin::{Chaos, FrontPlugin};
pub use hosts::{Hosts, HostsTable};
pub use id::{BlockId, ListenerId, RouteId, UpstreamId};
pub use limits::ResolverLimits;
pub use listener::{DEFAULT_IDLE_TIMEOUT, Listener, Policy, Route};
pub use load_balance::{AddressWeights, LoadBalance, LoadBalanceOptions};
pub use local_plugin::LocalPlugin;
pub use loop_detector::LoopDetector;
pub use message_changes::MessageChanges;
pub use network::Network;
pub use pool_options::PoolOptions;
