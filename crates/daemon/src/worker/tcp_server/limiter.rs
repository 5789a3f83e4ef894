//! Connection limiter: how many client TCP connections there may be, per client and in all, which
//! idle one is evicted for a new one, and how much all together may buffer.
//!
//! One limiter for all workers, locked when a connection begins or ends.

use std::cell::Cell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use crate::clock;
use crate::metrics::ProcessCounters;

/// Connections of the process, if it has the descriptors for them.
const MAX_CONNECTIONS: usize = 4096;
/// Descriptors of the process without workers, clients and upstreams: event loops, netlink, log, health and
/// metrics.
const OWN_DESCRIPTORS: u64 = 35;
/// Descriptors of a worker with one listen address: event loops, timers, listeners with their duplicates.
const WORKER_DESCRIPTORS: u64 = 9;
/// Clients get this fraction of the rest; upstreams and endpoints need the others.
const DESCRIPTOR_DIVISOR: u64 = 2;
/// Connections of one client address.
const MAX_PER_CLIENT: usize = 128;
/// One client gets at most this fraction of the connections of the process.
const CLIENT_DIVISOR: usize = 4;
/// Octets of a connection: task, socket, buffers of a usual query and response.
const CONNECTION_OCTETS: usize = 12 << 10;
/// Connections get this fraction of the memory.
const CONNECTIONS_DIVISOR: usize = 2;
/// What all connections buffer together, unread responses and incomplete queries, is at most this
/// fraction: buffers grow by doubling.
const BUFFERED_DIVISOR: usize = 4;
/// A connection that buffers no more than this is never closed for what others buffer.
const SMALL_BUFFER: usize = 4 << 10;

/// The value of `idle_since` while the connection is in use.
const BUSY: u64 = u64::MAX;

/// What is left for clients and upstreams of the file descriptors of a process with so many workers.
pub(crate) fn left_descriptors(limit: u64, workers: usize) -> u64 {
    let workers = u64::try_from(workers).unwrap_or(u64::MAX);
    limit.saturating_sub(workers.saturating_mul(WORKER_DESCRIPTORS).saturating_add(OWN_DESCRIPTORS))
}

pub(crate) struct ConnectionLimiter {
    max_connections: usize,
    max_buffered: usize,
    created: Instant,
    slots: Mutex<Slots>,
    buffered: AtomicUsize,
    process: Arc<ProcessCounters>,
}

#[derive(Default)]
struct Slots {
    by_client: HashMap<IpAddr, Vec<Arc<Slot>>>,
    count: usize,
}

/// One connection.
struct Slot {
    client: IpAddr,
    /// Milliseconds since the limiter was created, or [`BUSY`].
    idle_since: AtomicU64,
    evicted: Notify,
}

impl ConnectionLimiter {
    /// With this many file descriptors ([`left_descriptors`]), and `memory` octets for connections and
    /// buffers.
    pub(crate) fn new(descriptors: u64, memory: usize, process: Arc<ProcessCounters>) -> Self {
        let affordable = usize::try_from(descriptors / DESCRIPTOR_DIVISOR).unwrap_or(MAX_CONNECTIONS);
        let affordable = affordable.min(memory / CONNECTIONS_DIVISOR / CONNECTION_OCTETS);
        Self {
            max_connections: affordable.min(MAX_CONNECTIONS),
            max_buffered: memory / BUFFERED_DIVISOR,
            created: clock::now(),
            slots: Mutex::default(),
            buffered: AtomicUsize::new(0),
            process,
        }
    }

    /// A permit for a new connection. At a limit, the connection that has been idle longest is
    /// evicted: of the same client at the limit per client, of all at the limit of the process. If
    /// none is idle, the new connection is refused.
    pub(super) fn admit(self: &Arc<Self>, client: IpAddr) -> Option<Permit> {
        let mut slots = self.slots();
        let of_client = slots.by_client.get(&client).map_or(0, Vec::len);
        let counts = &self.process.connections;
        let full = if of_client >= (self.max_connections / CLIENT_DIVISOR).clamp(1, MAX_PER_CLIENT) {
            Some((slots.longest_idle(Some(client)), &counts.evicted.client, &counts.refused.client))
        } else if slots.count >= self.max_connections {
            Some((slots.longest_idle(None), &counts.evicted.process, &counts.refused.process))
        } else {
            None
        };
        match full {
            None => {}
            Some((Some(idle), evicted, _)) => {
                slots.remove(&idle);
                idle.evicted.notify_one();
                evicted.inc();
            }
            Some((None, _, refused)) => {
                refused.inc();
                return None;
            }
        }
        let slot = Arc::new(Slot { client, idle_since: AtomicU64::new(self.now()), evicted: Notify::new() });
        slots.by_client.entry(client).or_default().push(Arc::clone(&slot));
        slots.count += 1;
        counts.open.inc();
        Some(Permit { limiter: Arc::clone(self), slot, buffered: Cell::new(0) })
    }

    /// Octets of all connections and of what they buffer.
    pub(crate) fn memory_used(&self) -> usize {
        self.slots().count * CONNECTION_OCTETS + self.buffered.load(Relaxed)
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        let since = clock::now().saturating_duration_since(self.created).as_millis();
        u64::try_from(since).unwrap_or(BUSY - 1)
    }
}

impl Slots {
    fn longest_idle(&self, client: Option<IpAddr>) -> Option<Arc<Slot>> {
        let of_client = client.and_then(|client| self.by_client.get(&client)).into_iter();
        let of_all = self.by_client.values().filter(|_| client.is_none());
        let idle = of_client.chain(of_all).flatten().filter(|slot| slot.idle_since.load(Relaxed) != BUSY);
        idle.min_by_key(|slot| slot.idle_since.load(Relaxed)).map(Arc::clone)
    }

    /// Removes `slot` unless that has happened already.
    fn remove(&mut self, slot: &Arc<Slot>) {
        let Some(of_client) = self.by_client.get_mut(&slot.client) else { return };
        let before = of_client.len();
        of_client.retain(|other| !Arc::ptr_eq(other, slot));
        self.count -= before - of_client.len();
        if of_client.is_empty() {
            self.by_client.remove(&slot.client);
        }
    }
}

/// Permit of one connection, returned when dropped.
pub(super) struct Permit {
    limiter: Arc<ConnectionLimiter>,
    slot: Arc<Slot>,
    buffered: Cell<usize>,
}

impl Permit {
    /// Queries are in flight or responses unread: not to be evicted.
    pub(super) fn set_busy(&self) {
        self.slot.idle_since.store(BUSY, Relaxed);
    }

    pub(super) fn set_idle(&self) {
        self.slot.idle_since.store(self.limiter.now(), Relaxed);
    }

    /// Resolves when the connection is evicted for another one.
    pub(super) async fn evicted(&self) {
        self.slot.evicted.notified().await;
    }

    /// Records how many octets this connection buffers. False when it must be closed because all
    /// connections together buffer too much.
    pub(super) fn set_buffered(&self, octets: usize) -> bool {
        let before = self.buffered.replace(octets);
        if octets == before && octets <= SMALL_BUFFER {
            return true;
        }
        self.limiter.buffered.fetch_add(octets, Relaxed);
        let others = self.limiter.buffered.fetch_sub(before, Relaxed).saturating_sub(before + octets);
        octets <= SMALL_BUFFER || others + octets <= self.limiter.max_buffered
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.limiter.buffered.fetch_sub(self.buffered.get(), Relaxed);
        self.limiter.slots().remove(&self.slot);
        self.limiter.process.connections.open.dec();
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    /// For the maximum number of connections.
    const MEMORY: usize = 128 << 20;

    fn limiter(descriptors: u64) -> Arc<ConnectionLimiter> {
        Arc::new(ConnectionLimiter::new(descriptors, MEMORY, Arc::default()))
    }

    fn client(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(0x0a00_0000 + number).into()
    }

    fn admit_idle(limiter: &Arc<ConnectionLimiter>, number: u32, since: u64) -> Permit {
        let permit = limiter.admit(client(number)).unwrap();
        permit.slot.idle_since.store(since, Relaxed);
        permit
    }

    fn admit_busy(limiter: &Arc<ConnectionLimiter>, number: u32) -> Option<Permit> {
        limiter.admit(client(number)).inspect(Permit::set_busy)
    }

    async fn is_evicted(permit: &Permit) -> bool {
        tokio::time::timeout(std::time::Duration::ZERO, permit.evicted()).await.is_ok()
    }

    /// Refused by the limit of the process and of the client, evicted likewise.
    fn counts(limiter: &ConnectionLimiter) -> [u64; 4] {
        let counts = &limiter.process.connections;
        [&counts.refused.process, &counts.refused.client, &counts.evicted.process, &counts.evicted.client]
            .map(crate::metrics::AtomicCounter::get)
    }

    #[test]
    fn clients_get_half_of_the_descriptors_that_the_process_leaves_up_to_the_maximum() {
        assert_eq!(limiter(left_descriptors(64, 2)).max_connections, 5);
        assert_eq!(limiter(left_descriptors(1024, 2)).max_connections, 485);
        assert_eq!(limiter(left_descriptors(1024, 16)).max_connections, 422);
        assert_eq!(limiter(left_descriptors(64, 16)).max_connections, 0);
        assert_eq!(limiter(u64::MAX).max_connections, MAX_CONNECTIONS);
    }

    #[test]
    fn connections_and_their_buffers_stay_within_the_memory() {
        let memory = 4 << 20;
        let limiter = Arc::new(ConnectionLimiter::new(u64::MAX, memory, Arc::default()));
        let mut permits: Vec<Permit> = (0..4200).filter_map(|number| admit_busy(&limiter, number)).collect();
        assert_eq!((permits.len(), counts(&limiter)[0]), (170, 4030));
        assert!((memory / 2 - CONNECTION_OCTETS..memory / 2).contains(&limiter.memory_used()));
        permits.retain(|permit| permit.set_buffered(100 << 10));
        assert_eq!(permits.len(), 10);
    }

    #[test]
    fn refused_connections_leave_no_state() {
        let limiter = limiter(1 << 20);
        let permits: Vec<Permit> = (0..4200).filter_map(|number| admit_busy(&limiter, number)).collect();
        assert_eq!((permits.len(), limiter.slots().by_client.len()), (MAX_CONNECTIONS, MAX_CONNECTIONS));
        assert_eq!(counts(&limiter), [104, 0, 0, 0]);
        drop(permits);
        assert!(limiter.slots().by_client.is_empty());
        assert_eq!(limiter.process.connections.open.get(), 0);
    }

    #[test]
    fn a_client_over_its_limit_is_refused_and_others_are_not() {
        let limiter = limiter(64);
        let permits: Vec<Permit> = (0..10).filter_map(|_| admit_busy(&limiter, 1)).collect();
        assert_eq!((permits.len(), counts(&limiter)), (8, [0, 2, 0, 0]));
        assert!(admit_busy(&limiter, 2).is_some());
    }

    #[tokio::test]
    async fn at_the_limit_of_the_process_the_longest_idle_connection_is_evicted() {
        let limiter = limiter(8);
        let permits = [
            admit_idle(&limiter, 1, 30),
            admit_idle(&limiter, 2, 10),
            admit_idle(&limiter, 3, 20),
            admit_busy(&limiter, 4).unwrap(),
        ];
        let new = admit_busy(&limiter, 5).unwrap();
        for (permit, evicted) in permits.iter().zip([false, true, false, false]) {
            assert_eq!(is_evicted(permit).await, evicted);
        }
        assert_eq!((limiter.slots().count, counts(&limiter)), (4, [0, 0, 1, 0]));
        drop(permits);
        assert_eq!(limiter.slots().count, 1, "a permit is returned once");
        drop(new);
        assert_eq!(limiter.slots().count, 0);
    }

    #[tokio::test]
    async fn at_the_limit_per_client_only_its_own_idle_connection_is_evicted() {
        let limiter = limiter(32);
        let other = admit_idle(&limiter, 1, 0);
        let same: Vec<Permit> = (1..=4).map(|since| admit_idle(&limiter, 2, since)).collect();
        assert!(admit_busy(&limiter, 2).is_some());
        assert!(is_evicted(&same[0]).await && !is_evicted(&same[1]).await && !is_evicted(&other).await);
        assert_eq!(counts(&limiter), [0, 0, 0, 1]);
    }

    #[test]
    fn buffered_octets_are_limited_in_all_and_small_buffers_are_always_allowed() {
        let limiter = limiter(1 << 20);
        let permits: Vec<Permit> = (0..40).filter_map(|number| admit_busy(&limiter, number)).collect();
        let allowed = permits.iter().filter(|permit| permit.set_buffered(1 << 20)).count();
        assert_eq!(allowed, 32);
        assert!(permits[0].set_buffered(SMALL_BUFFER));
        drop(permits);
        assert_eq!(limiter.buffered.load(Relaxed), 0);
    }
}
