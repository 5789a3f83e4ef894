//! What is counted for the process as a whole, by whichever thread sees it.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A number that any thread raises. Rare events only: it costs a bus lock.
#[derive(Debug, Default)]
pub struct AtomicCounter(AtomicU64);

impl AtomicCounter {
    /// Raises it by one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Raises it.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct AtomicGauge(AtomicI64);

impl AtomicGauge {
    /// Raises it by one.
    pub fn inc(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// Lowers it by one.
    pub fn dec(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    /// Its value.
    pub fn get(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

/// The `errortype` of `coredns_nodecache_setup_errors_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetupError {
    /// The packet filter refused our rules.
    Iptables = 0,
    /// Someone else held the packet filter's lock.
    IptablesLock = 1,
    /// The link or an address could not be made.
    InterfaceAdd = 2,
    /// The link or an address could not be looked at.
    InterfaceCheck = 3,
    /// The configuration could not be read or taken over.
    Configmap = 4,
}

/// The label values of [`SetupError`], in its order.
pub(crate) const SETUP_ERRORS: [&str; 5] =
    ["iptables", "iptables_lock", "interface_add", "interface_check", "configmap"];

/// Upper bounds in seconds of the histogram of the health self-probe, as CoreDNS has them.
pub(crate) const PROBE_BOUNDS: [f64; 5] = [0.000_25, 0.002_5, 0.025, 0.25, 2.5];

/// How long the health self-probe took.
#[derive(Debug, Default)]
pub struct HealthCheckDurations {
    /// Not cumulative; the last place is above all bounds.
    places: [AtomicCounter; PROBE_BOUNDS.len() + 1],
    nanos: AtomicCounter,
}

impl HealthCheckDurations {
    /// Counts one probe.
    pub fn observe(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let place = PROBE_BOUNDS.iter().position(|&bound| seconds <= bound).unwrap_or(PROBE_BOUNDS.len());
        if let Some(count) = self.places.get(place) {
            count.inc();
        }
        self.nanos.add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn places(&self) -> Vec<u64> {
        self.places.iter().map(AtomicCounter::get).collect()
    }

    pub(crate) fn nanos(&self) -> u64 {
        self.nanos.get()
    }
}

/// Reloads of the configuration.
#[derive(Debug, Default)]
pub struct Reloads {
    /// Those that failed.
    pub failed: AtomicCounter,
    version: Mutex<Option<String>>,
}

impl Reloads {
    /// Notes a reload, whether it went well or not, with the SHA-512 in hexadecimal of the configuration in force
    /// after it.
    pub fn attempted(&self, version: &str) {
        *self.version.lock().unwrap_or_else(PoisonError::into_inner) = Some(version.to_owned());
    }

    /// The configuration in force; nothing before the first reload.
    pub(crate) fn version(&self) -> Option<String> {
        self.version.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Events by the limit that was reached.
#[derive(Debug, Default)]
pub struct ByLimit {
    /// Connections of all clients.
    pub process: AtomicCounter,
    /// Connections of one client address.
    pub client: AtomicCounter,
}

/// TCP connections of clients.
#[derive(Debug, Default)]
pub struct ClientConnections {
    /// Open now.
    pub open: AtomicGauge,
    /// Turned away because there were too many and none of them was idle.
    pub refused: ByLimit,
    /// Closed while idle to make room for a newcomer.
    pub evicted: ByLimit,
    /// Closed because clients together left too much unread.
    pub write_buffer_exceeded: AtomicCounter,
    /// Times that the kernel would not hand over a connection, for lack of descriptors or memory.
    pub accept_errors: AtomicCounter,
    /// Closed because the client was too slow or had nothing to ask.
    pub timed_out: AtomicCounter,
}

/// Hand-overs between instances of the program.
#[derive(Debug, Default)]
pub struct Handovers {
    /// From a predecessor to us.
    pub taken_over: AtomicCounter,
    /// From us to a successor.
    pub handed_over: AtomicCounter,
    /// Back to us, since the successor ended or left.
    pub resumed: AtomicCounter,
    /// That a predecessor was in service but did not hand over.
    pub refused: AtomicCounter,
}

/// Snapshots of the cache.
#[derive(Debug, Default)]
pub struct Snapshots {
    /// Files written.
    pub written: AtomicCounter,
    /// Files that could not be written.
    pub failed: AtomicCounter,
}

/// Cache entries that another process had before, by the way they came.
#[derive(Debug, Default)]
pub struct ImportedEntries {
    /// From the process that this one took over from.
    pub predecessor: AtomicCounter,
    /// From a snapshot.
    pub snapshot: AtomicCounter,
}

/// What no worker's own counters has a place for.
#[derive(Debug, Default)]
pub struct ProcessCounters {
    /// The health self-probes that were answered.
    pub health_checks: HealthCheckDurations,
    /// The health self-probes that were not.
    pub health_check_failures: AtomicCounter,
    /// Reloads of the configuration.
    pub reloads: Reloads,
    /// Links, addresses and rules of ours that someone had taken away and we put back.
    pub repairs: AtomicCounter,
    /// Log lines that found no room.
    pub dropped_lines: AtomicCounter,
    /// Hand-overs between instances of the program.
    pub handovers: Handovers,
    /// TCP connections of clients.
    pub connections: ClientConnections,
    /// UDP responses that the kernel did not send.
    pub udp_send_errors: AtomicCounter,
    /// UDP queries that the kernel dropped because the receive queue of a worker was full.
    pub udp_queue_overflows: AtomicCounter,
    /// Snapshots of the cache.
    pub snapshots: Snapshots,
    /// Cache entries that another process had before.
    pub imported: ImportedEntries,
    setup_errors: [AtomicCounter; SETUP_ERRORS.len()],
}

impl ProcessCounters {
    /// Counts a failure to set up the node.
    pub fn setup_error(&self, error: SetupError) {
        if let Some(count) = self.setup_errors.get(error as usize) {
            count.inc();
        }
    }

    /// Label value and count of each kind of set-up failure.
    pub(crate) fn setup_errors(&self) -> impl Iterator<Item = (&'static str, u64)> {
        SETUP_ERRORS.into_iter().zip(self.setup_errors.iter().map(AtomicCounter::get))
    }
}
