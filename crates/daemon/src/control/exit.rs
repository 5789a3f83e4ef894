//! How the process ends, and what it says then.

use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use crate::flags::UsageError;
use crate::http::BindError;
use crate::worker::config::IdsExhausted;
use corefile::ConfigError;

/// An end that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitReason {
    /// By a signal.
    Signal,
    /// By a second signal, which cut the first one's courtesies short.
    SecondSignal,
    /// By a signal, when another instance had taken over.
    HandedOver,
}

/// An end that was not. Each text is for the operator: what, where, why, and what to do.
#[derive(Debug)]
pub(crate) enum FatalError {
    Config(ConfigError),
    LinkKind(linux::link::UnknownLinkKind),
    Node(linux::node::NodeError),
    Bind(SocketAddr, io::Error),
    Admin(BindError),
    IdsExhausted(IdsExhausted),
    Metrics(prometheus::Error),
    Thread(io::Error),
    WorkerDied,
    Panicked,
    Loop(String),
}

impl fmt::Display for FatalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::LinkKind(error) => write!(f, "-link-kind: {error}"),
            Self::Node(error) => error.fmt(f),
            Self::Bind(address, error) => write!(f, "Listen: listen {address}: bind: {}", Reason(error)),
            Self::Admin(error) => error.fmt(f),
            Self::IdsExhausted(error) => error.fmt(f),
            Self::Metrics(error) => write!(f, "the metrics cannot be served: {error}"),
            Self::Thread(error) => write!(f, "the system gives no thread, timer or signal: {error}"),
            Self::WorkerDied => {
                f.write_str("a worker has ended by itself, which is a bug: leaving, to be started again")
            }
            Self::Panicked => {
                f.write_str("the control thread has panicked, which is a bug: leaving, to be started again")
            }
            Self::Loop(text) => f.write_str(text),
        }
    }
}

/// A reason in Go's words, which operators grep for, and what to do.
struct Reason<'a>(&'a io::Error);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.kind() {
            io::ErrorKind::AddrInUse => f.write_str(
                "address already in use (another program holds the port: find it with `ss -lntup`, stop it or bind other addresses)",
            ),
            io::ErrorKind::PermissionDenied => {
                f.write_str("permission denied (a port below 1024 needs the capability NET_BIND_SERVICE)")
            }
            io::ErrorKind::AddrNotAvailable => f.write_str("cannot assign requested address"),
            _ => self.0.fmt(f),
        }
    }
}

/// Help and the version go to stdout and are a success; anything else is a mistake on the command line.
pub(super) fn usage(usage: &UsageError) -> ExitCode {
    let written = if usage.code == 0 {
        write!(io::stdout(), "{}", usage.text)
    } else {
        write!(io::stderr(), "{}", usage.text)
    };
    written.map_or(ExitCode::FAILURE, |()| ExitCode::from(usage.code))
}
