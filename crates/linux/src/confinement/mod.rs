//! Confinement of threads: each holds the capabilities, may make the system calls (seccomp) and reach the
//! files (Landlock) that its work needs.
//!
//! [`start`] is called once, before there are threads; each thread then calls [`enter`] with its kind.
//! All of it lasts for the life of the thread and is inherited by the threads that it creates.

mod capabilities;
mod files;
mod seccomp;
mod system_calls;

use std::io;
use std::sync::OnceLock;

use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};

pub use capabilities::Privilege;
pub use files::{FileAccess, FileConfinement, is_confined_to_files};
pub use seccomp::SeccompMode;

use crate::sys;

/// The confinement of the process; absent before [`start`], and in programs that do not confine
/// themselves.
static PROCESS: OnceLock<Confinement> = OnceLock::new();

/// Why the first thread that could not be confined was not.
static FIRST_FAILURE: OnceLock<String> = OnceLock::new();

/// What confines the threads beside their capabilities, which are always reduced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Confinement {
    /// To the system calls of their kind.
    pub seccomp: SeccompMode,
    /// To no files where they open none.
    pub landlock: bool,
}

/// What a thread does, and so what it may do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ThreadKind {
    /// Parses messages of clients and upstreams.
    Worker,
    /// Reads the configuration and files, and speaks with other instances.
    Control,
    /// Speaks netlink, and has CAP_NET_ADMIN.
    Netlink,
    /// Binds sockets, and has CAP_NET_BIND_SERVICE.
    Binder,
    /// Serves HTTP.
    Http,
    /// Writes the snapshot of the cache.
    Snapshot,
    /// Writes the log.
    Log,
    /// Sends heartbeats.
    Heartbeat,
    /// The parent process, which waits for its child.
    Supervisor,
}

impl ThreadKind {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::Worker,
        Self::Control,
        Self::Netlink,
        Self::Binder,
        Self::Http,
        Self::Snapshot,
        Self::Log,
        Self::Heartbeat,
        Self::Supervisor,
    ];

    /// The capability that threads of this kind keep.
    const fn privilege(self) -> Option<Privilege> {
        match self {
            Self::Netlink => Some(Privilege::NetAdmin),
            Self::Binder => Some(Privilege::NetBindService),
            _ => None,
        }
    }

    /// Whether the thread opens no file, now or later.
    const fn opens_no_files(self) -> bool {
        matches!(self, Self::Worker | Self::Binder | Self::Log | Self::Heartbeat | Self::Supervisor)
    }

    /// Whether the thread handles the signals of the process.
    const fn handles_signals(self) -> bool {
        matches!(self, Self::Control | Self::Supervisor)
    }

    /// Whether the thread signals another process.
    const fn signals_others(self) -> bool {
        matches!(self, Self::Supervisor)
    }

    /// A bit of its own, for the table of system calls.
    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// Prepares the confinement of this process, which gains no privileges from now on (no_new_privs) and
/// ends with a line on stderr when a thread makes a system call that its kind may not make. To be called
/// before there are threads.
///
/// # Errors
///
/// The kernel has no seccomp filters, or the error of `prctl` or `sigaction`; then threads are confined by
/// capabilities only.
pub fn start(confinement: Confinement) -> io::Result<()> {
    let Confinement { seccomp, landlock } = confinement;
    sys::limit_malloc_arenas();
    let started = prctl::set_no_new_privs()
        .map_err(io::Error::from)
        .and_then(
            |()| if seccomp == SeccompMode::Off { Ok(()) } else { sys::violation::check_trap_support() },
        )
        .and_then(|()| sys::violation::report_violations());
    let seccomp = if started.is_ok() { seccomp } else { SeccompMode::Off };
    PROCESS.get_or_init(|| Confinement { seccomp, landlock });
    started
}

/// Confines the calling thread, for ever: to the capability of its kind, to no files where it opens none,
/// and to the system calls of its kind. Does nothing where the process has not called [`start`].
///
/// # Errors
///
/// The kernel's error; the thread may have more privileges than it needs.
pub fn enter(kind: ThreadKind) -> io::Result<()> {
    let Some(confinement) = PROCESS.get() else { return Ok(()) };
    let confined = confine(kind, *confinement);
    if let Err(error) = &confined {
        FIRST_FAILURE.get_or_init(|| format!("a thread of the kind {kind:?}: {error}"));
    }
    confined
}

/// Why the first thread for which [`enter`] has failed was not confined.
#[must_use]
pub fn first_failure() -> Option<&'static str> {
    FIRST_FAILURE.get().map(String::as_str)
}

fn confine(kind: ThreadKind, Confinement { seccomp, landlock }: Confinement) -> io::Result<()> {
    if !kind.handles_signals() {
        block_signals()?;
    }
    capabilities::keep(kind.privilege())?;
    if landlock && kind.opens_no_files() {
        files::deny_all(kind.signals_others());
    }
    seccomp::install(kind, seccomp)
}

/// Leaves the signals of the process to the threads that handle them, so that a handler runs in no other.
fn block_signals() -> io::Result<()> {
    let mut blocked = SigSet::all();
    let of_the_thread = [
        Signal::SIGSYS,
        Signal::SIGSEGV,
        Signal::SIGBUS,
        Signal::SIGILL,
        Signal::SIGFPE,
        Signal::SIGABRT,
        Signal::SIGTRAP,
    ];
    for signal in of_the_thread {
        blocked.remove(signal);
    }
    Ok(blocked.thread_block()?)
}
