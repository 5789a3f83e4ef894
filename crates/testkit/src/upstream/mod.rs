//! Scripted upstream: a name server on real sockets that reacts according to a [`Script`] and logs
//! the queries it receives.
//!
//! [`Upstream::start`] serves [`LabelScript`]: the first label of the name selects the reaction.
//! [`TlsProxy`] adds TLS; [`ClosedPort`] and [`Blackhole`] are upstreams that cannot be reached.

mod blackhole;
mod hostile;
mod label_script;
mod label_steps;
mod query_log;
mod reply;
mod script;
mod server;
mod thread;
mod tls;

pub use blackhole::{Blackhole, ClosedPort};
pub use label_script::LabelScript;
pub use query_log::{Connections, ReceivedQuery};
pub use resolver::action::Transport;
pub use script::{ResponseOrder, Script, ScriptStep, ServerOptions};
pub use thread::Upstream;
pub use tls::TlsProxy;

pub(crate) use reply::{encode, reply_to};
