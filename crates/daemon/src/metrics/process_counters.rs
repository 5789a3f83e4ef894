//! Counters of the process as a whole, incremented by any thread.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use resolver::counters::Gauge;

use super::fail_open::FailOpenRules;
use super::memory::MemoryParts;
use super::udp_queues::UdpQueues;

/// A counter for any thread. For rare events only: each increment is a locked addition.
#[derive(Debug, Default)]
pub struct AtomicCounter(AtomicU64);

impl AtomicCounter {
    /// Increments it by one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Increments it by `count`.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    /// The current value.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A gauge for any thread.
#[derive(Debug, Default)]
pub struct AtomicGauge(AtomicI64);

impl AtomicGauge {
    /// Increments it by one.
    pub fn inc(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// Decrements it by one.
    pub fn dec(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    /// The current value.
    pub fn get(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

/// The `errortype` of `coredns_nodecache_setup_errors_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetupError {
    /// The kernel rejected the packet-filter rules.
    Iptables = 0,
    /// The lock of the packet filter was held by another process.
    IptablesLock = 1,
    /// The link or an address could not be created.
    InterfaceAdd = 2,
    /// The link or an address could not be checked.
    InterfaceCheck = 3,
    /// The template, or the ConfigMap of kube-dns, could not be read again.
    Configmap = 4,
}

/// Label values of [`SetupError`], in its order.
pub(crate) const SETUP_ERRORS: [&str; 5] =
    ["iptables", "iptables_lock", "interface_add", "interface_check", "configmap"];

/// Upper bounds of the histogram of local health requests, in seconds, as in CoreDNS.
pub(crate) const HEALTH_REQUEST_BOUNDS: [f64; 5] = [0.000_25, 0.002_5, 0.025, 0.25, 2.5];

/// Latency of the local requests to `/health`.
#[derive(Debug, Default)]
pub struct HealthRequestDurations {
    /// Not cumulative; the last bucket is above all bounds.
    buckets: [AtomicCounter; HEALTH_REQUEST_BOUNDS.len() + 1],
    nanos: AtomicCounter,
}

impl HealthRequestDurations {
    /// Adds one observation.
    pub fn observe(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = HEALTH_REQUEST_BOUNDS
            .iter()
            .position(|&bound| seconds <= bound)
            .unwrap_or(HEALTH_REQUEST_BOUNDS.len());
        if let Some(count) = self.buckets.get(bucket) {
            count.inc();
        }
        self.nanos.add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn buckets(&self) -> Vec<u64> {
        self.buckets.iter().map(AtomicCounter::get).collect()
    }

    pub(crate) fn nanos(&self) -> u64 {
        self.nanos.get()
    }
}

/// Reloads of the configuration.
#[derive(Debug, Default)]
pub struct Reloads {
    /// Failed reloads.
    pub failed: AtomicCounter,
    version: Mutex<Option<String>>,
    last: Mutex<Option<LastReload>>,
}

/// The last reload.
#[derive(Clone, Debug)]
pub struct LastReload {
    /// When, in seconds since 1970.
    pub unix_time: u64,
    /// Why it failed; the configuration before it is in effect.
    pub failure: Option<String>,
}

impl Reloads {
    /// Records a reload, failed or not, with the SHA-512 (hexadecimal) of the configuration that
    /// runs after it.
    pub fn attempted(&self, version: &str) {
        *self.version.lock().unwrap_or_else(PoisonError::into_inner) = Some(version.to_owned());
    }

    /// Records when the last reload was, and why it failed.
    pub fn set_last(&self, last: LastReload) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
    }

    /// The last reload, if there was one.
    pub(crate) fn last(&self) -> Option<LastReload> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// SHA-512 of the running configuration; `None` before the first reload.
    pub(crate) fn version(&self) -> Option<String> {
        self.version.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Counts by the limit that was reached.
#[derive(Debug, Default)]
pub struct ByLimit {
    /// The limit of the process.
    pub process: AtomicCounter,
    /// The limit of one client address.
    pub client: AtomicCounter,
}

/// TCP connections of clients.
#[derive(Debug, Default)]
pub struct ClientConnections {
    /// Currently open.
    pub open: AtomicGauge,
    /// Refused because a limit was reached and no connection was idle.
    pub refused: ByLimit,
    /// Closed while idle to accept a new connection.
    pub evicted: ByLimit,
    /// Closed because all connections together buffered too much: unread responses and incomplete
    /// queries.
    pub write_buffer_exceeded: AtomicCounter,
    /// Failed `accept` calls that were followed by a pause, e.g. for lack of descriptors or memory.
    pub accept_errors: AtomicCounter,
    /// Closed by a timeout: the client was too slow, or idle.
    pub timed_out: AtomicCounter,
}

/// Hand-overs between instances of the program.
#[derive(Debug, Default)]
pub struct Handovers {
    /// This instance took over from a predecessor.
    pub taken_over: AtomicCounter,
    /// This instance handed over to a successor.
    pub handed_over: AtomicCounter,
    /// This instance resumed service after the successor ended.
    pub resumed: AtomicCounter,
    /// A predecessor in service refused to hand over.
    pub refused: AtomicCounter,
}

/// Snapshots of the cache.
#[derive(Debug, Default)]
pub struct Snapshots {
    /// Snapshots written.
    pub written: AtomicCounter,
    /// Snapshots that could not be written.
    pub failed: AtomicCounter,
    /// Size of the last one, set by the thread that writes them.
    pub octets: Gauge,
}

/// Cache entries imported from the previous process, by source.
#[derive(Debug, Default)]
pub struct ImportedEntries {
    /// From the predecessor, in the hand-over.
    pub predecessor: AtomicCounter,
    /// From a snapshot file.
    pub snapshot: AtomicCounter,
}

/// Cache entries left out of what the next process imports, by destination.
#[derive(Debug, Default)]
pub struct OmittedEntries {
    /// Of a hand-over: the successor did not receive them in time.
    pub successor: AtomicCounter,
    /// Of snapshot files: the size of a file is limited.
    pub snapshot: AtomicCounter,
}

/// Packets that a packet filter of the node rejected, by their destination.
#[derive(Debug, Default)]
pub struct PacketFilterRejects {
    /// UDP responses to clients.
    pub clients: AtomicCounter,
    /// Queries to upstreams.
    pub upstreams: AtomicCounter,
}

/// How the process is confined: 1 or 0.
#[derive(Debug, Default)]
pub struct Confined {
    /// By filters of system calls whose violation ends the process.
    pub seccomp: Gauge,
    /// To the files of its configuration.
    pub landlock: Gauge,
}

/// Counters of events that do not belong to one worker.
#[derive(Debug, Default)]
pub struct ProcessCounters {
    /// Latency of the local requests to `/health` that succeeded.
    pub health_requests: HealthRequestDurations,
    /// Time of modification of the hosts file read last, in nanoseconds since 1970.
    pub hosts_modified: Gauge,
    /// Local requests to `/health` that failed.
    pub health_request_failures: AtomicCounter,
    /// Reloads of the configuration.
    pub reloads: Reloads,
    /// Links, addresses and rules that were missing and have been restored.
    pub repairs: AtomicCounter,
    /// Overflows of the queues for netlink events.
    pub netlink_overruns: AtomicCounter,
    /// Log lines dropped because the queue was full.
    pub dropped_lines: AtomicCounter,
    /// Hand-overs between instances of the program.
    pub handovers: Handovers,
    /// TCP connections of clients.
    pub connections: ClientConnections,
    /// UDP responses that the kernel did not send.
    pub udp_send_errors: AtomicCounter,
    /// Packets of ours that a packet filter of the node rejected (EPERM).
    pub packet_filter_rejects: PacketFilterRejects,
    /// Receive queues of the UDP sockets.
    pub udp_queues: UdpQueues,
    /// Fail-open rules of the packet filter.
    pub fail_open: FailOpenRules,
    /// Parts of the memory plan.
    pub memory: MemoryParts,
    /// Snapshots of the cache.
    pub snapshots: Snapshots,
    /// Cache entries imported from the previous process.
    pub imported: ImportedEntries,
    /// Cache entries left out of what the next process imports.
    pub omitted: OmittedEntries,
    /// How the process is confined.
    pub confined: Confined,
    setup_errors: [AtomicCounter; SETUP_ERRORS.len()],
}

impl ProcessCounters {
    /// Counts an error while setting up the node.
    pub fn setup_error(&self, error: SetupError) {
        if let Some(count) = self.setup_errors.get(error as usize) {
            count.inc();
        }
    }

    /// Label value and count of each [`SetupError`].
    pub(crate) fn setup_errors(&self) -> impl Iterator<Item = (&'static str, u64)> {
        SETUP_ERRORS.into_iter().zip(self.setup_errors.iter().map(AtomicCounter::get))
    }
}
