//! Worker threads: sockets, upstream connections and one `Resolver` each.
//!
//! Workers share the cache, the table of shared in-flight queries and the TCP connection limiter.
//! Every packet, failure and timer goes to the resolver with the current time; the actions it
//! returns are executed. No branch here depends on DNS content. Each source of events has a bounded
//! share of a [`turn`] of the loop.
//!
//! Reading order: [`thread`] (start, commands, drain), [`event_loop`] (input to the resolver,
//! actions out), [`udp_server`] and [`tcp_server`] (clients), [`upstream`] (connections to
//! upstreams).

#[cfg(debug_assertions)]
mod compromised;
pub(crate) mod config;
mod context;
mod drain;
mod event_loop;
mod fault_injection;
#[cfg(test)]
mod fixture;
mod handler;
mod heartbeat;
mod peer_inbox;
mod read_buffer;
mod sockets;
mod tasks;
mod tcp_server;
mod thread;
mod timer;
mod turn;
mod udp_server;
mod upstream;

pub(crate) use context::{WorkerConfig, WorkerContext, WorkerEvent};
pub(crate) use heartbeat::Heartbeat;
pub(crate) use peer_inbox::{peer_inboxes, worker_id};
pub(crate) use sockets::{
    InheritedSockets, ListeningSockets, OpenError, OpenedSockets, RegisteredSockets, ServingSocket,
};
pub(crate) use tasks::WorkerFailure;
pub(crate) use tcp_server::{ConnectionLimiter, ConnectionTimeouts, left_descriptors};
pub(crate) use thread::{L1Handle, ReadyWorker, Reconfigure, Reconfigured, Worker, WorkerProgress};
pub(crate) use upstream::{TlsParams, UpstreamEndpoint, UpstreamEndpoints};
