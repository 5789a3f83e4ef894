//! Context of the process, shared by all parts of the control thread.

use std::sync::Arc;

use corefile::Environment;
use linux::binder::Binder;
use linux::file_events::FileMonitor;
use linux::supervisor::WatchdogTimer;

use super::netlink_thread::NetlinkThread;
use super::service_translation::ServiceTranslation;
use crate::flags::Flags;
use crate::handover::SocketDirectory;
use crate::insight::{Statistics, TraceHub};
use crate::logging::Logger;
use crate::memory_plan::MemoryPlan;
use crate::metrics::ProcessCounters;
use crate::worker::Heartbeat;

/// Fixed at start-up, before anything is served.
#[derive(Clone, Copy)]
pub(super) struct ProcessContext<'a> {
    pub(super) flags: &'a Flags,
    pub(super) environment: &'a Environment,
    pub(super) logger: &'a Logger,
    pub(super) counters: &'a Arc<ProcessCounters>,
    /// File descriptors that the process may have open (RLIMIT_NOFILE).
    pub(super) descriptor_limit: u64,
    /// Caps of everything that clients can make grow.
    pub(super) memory: MemoryPlan,
    /// Keeps the parent from ending this process; absent without a parent that does.
    pub(super) watchdog_timer: Option<&'a Arc<WatchdogTimer>>,
    /// Of all serving sockets.
    pub(super) heartbeat: &'a Arc<Heartbeat>,
    /// Of the Corefile and the files that it names.
    pub(super) file_monitor: Option<&'a FileMonitor>,
    /// Directory of the hand-over socket and of the cache snapshot.
    pub(super) directory: Option<&'a SocketDirectory>,
    /// Binds listeners.
    pub(super) binder: &'a Binder,
    /// Sets up and repairs the node.
    pub(super) netlink: &'a NetlinkThread,
    pub(super) translation: &'a ServiceTranslation,
    /// Its subscribers get queries and responses.
    pub(super) trace: &'a Arc<TraceHub>,
    /// Of names and clients; absent with `-insight=false`.
    pub(super) statistics: Option<&'a Arc<Statistics>>,
}
