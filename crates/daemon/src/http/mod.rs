//! HTTP endpoints `/health`, `/ready` and `/metrics`, and a page of the status beside the last.
//!
//! They run on a thread of their own, in the [`LocalSet`](tokio::task::LocalSet) of its runtime, and
//! never delay a DNS response. Anyone who reaches the addresses can connect, so [`Limits`] bounds
//! the octets and time of a connection, and at the connection limit the oldest is closed: a flood
//! of connections does not block the kubelet's probes.

mod endpoints;
mod handlers;
mod health_request;
mod limits;
mod listener;
mod server;

pub use self::endpoints::Endpoints;
pub use self::limits::Limits;
pub use self::server::{BindError, HandlerState, HttpServer, InheritedListeners, PreparedEndpoints};
