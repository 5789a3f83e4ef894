//! Why the process exits, the message on stderr, and the exit code.

use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use corefile::ConfigErrors;

use crate::flags::UsageError;
use crate::http::BindError;
use crate::worker::WorkerFailure;
use crate::worker::config::IdsExhausted;

/// An exit that was requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitReason {
    /// A signal.
    Signal,
    /// A second signal, which cut the orderly shutdown short.
    SecondSignal,
    /// A signal, after a successor had taken over.
    HandedOver,
}

/// An error that ends the process. Each text is for the operator: what failed, where, why, and the
/// remedy.
#[derive(Debug)]
pub(crate) enum FatalError {
    Config(ConfigErrors),
    LinkKind(linux::link::UnknownLinkKind),
    Node(linux::node::NodeError),
    /// An address cannot be listened on; with the `FILE:LINE` that names it.
    Listen(String, SocketAddr, io::Error),
    /// An address of an HTTP endpoint cannot; likewise.
    Http(String, BindError),
    IdsExhausted(IdsExhausted),
    Metrics(prometheus::Error),
    /// The system refuses a thread, a timer or a signal handler.
    System(io::Error),
    /// The system refuses descriptors or memory for the listening sockets.
    Descriptors(io::Error),
    /// An address of the active instance that the configuration, named first, does not serve.
    NotServed(String, SocketAddr),
    /// An address of the active instance on which this instance does not answer itself.
    NotAnswered(SocketAddr),
    /// A worker, by its number, does not make a change.
    Worker(usize, io::Error),
    /// The number of the worker, and why.
    WorkerExited(usize, WorkerFailure),
    ControlPanicked,
    ForwardingLoop(String),
}

impl fmt::Display for FatalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::LinkKind(error) => write!(f, "-link-kind: {error}"),
            Self::Node(error) => error.fmt(f),
            Self::Listen(location, address, error) => {
                write!(f, "{location} - Listen: listen {address}: bind: {}", BindReason(error))
            }
            Self::Http(location, error) => {
                let reason = BindReason(&error.source);
                write!(f, "{location} - listen tcp {}: bind: {reason}", error.address)
            }
            Self::IdsExhausted(error) => error.fmt(f),
            Self::Metrics(error) => write!(f, "metrics cannot be served: {error}"),
            Self::System(error) => write!(f, "no thread, timer or signal handler from the system: {error}"),
            Self::Descriptors(error) => write!(
                f,
                "no descriptors for the listening sockets: {error} (raise the limit of open files, or bind fewer \
                 addresses)"
            ),
            Self::NotServed(source, address) => write!(
                f,
                "{source} - the active instance serves {address}, and no server block here does: not taking over \
                 (bind the address here, or remove it from the Corefile of the active instance first)"
            ),
            Self::NotAnswered(address) => write!(
                f,
                "no response to a query of our own on {address}, which the active instance serves: not taking over"
            ),
            Self::Worker(number, error) => write!(f, "worker {number}: {error}"),
            Self::WorkerExited(number, failure) => {
                write!(f, "worker {number} has ended, which is a bug: {failure}; exiting to be restarted")
            }
            Self::ControlPanicked => {
                f.write_str("the control thread panicked, which is a bug: exiting to be restarted")
            }
            Self::ForwardingLoop(text) => f.write_str(text),
        }
    }
}

/// The reason of a bind error in Go's words, which operators grep for, and the remedy.
struct BindReason<'a>(&'a io::Error);

impl fmt::Display for BindReason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.kind() {
            io::ErrorKind::AddrInUse => f.write_str(
                "address already in use (another program holds the port: find it with `ss -lntup`, stop it or bind other addresses)",
            ),
            io::ErrorKind::PermissionDenied => {
                f.write_str("permission denied (a port below 1024 needs the capability NET_BIND_SERVICE)")
            }
            io::ErrorKind::AddrNotAvailable => f.write_str(
                "cannot assign requested address (the address is neither in -localip nor on the node)",
            ),
            _ => self.0.fmt(f),
        }
    }
}

/// Writes a reason for a failure to stderr.
pub(super) fn print_error(reason: &dyn fmt::Display) {
    // A closed stderr leaves no place to report to.
    writeln!(io::stderr(), "{reason}").ok();
}

/// Help and version go to stdout with code 0, usage errors to stderr.
pub(super) fn print_usage(usage: &UsageError) -> ExitCode {
    let written = if usage.code == 0 {
        write!(io::stdout(), "{}", usage.text)
    } else {
        write!(io::stderr(), "{}", usage.text)
    };
    written.map_or(ExitCode::FAILURE, |()| ExitCode::from(usage.code))
}
