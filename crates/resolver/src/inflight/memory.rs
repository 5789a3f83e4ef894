//! Memory of waiting queries: octets of the in-flight queries and waiters of all workers, and of
//! large answers until all waiters have them, with a limit for the process and a share for each
//! client address.
//!
//! One pod's flood of misses must not take all of it, yet a burst of one pod may take much while
//! nobody else needs it. So a client gets at most as much as it leaves free (dynamic thresholds,
//! Choudhury and Hahne 1998): a half if it is alone, a third beside another greedy one.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};

use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use crate::sync::{Mutex, MutexGuard};

/// Lock shards, against contention.
const SHARDS: usize = 16;

/// Without a plan of the process: about 12,000 queries.
const DEFAULT_LIMIT: usize = 32 << 20;

/// Octets of the waiting queries of a process.
#[derive(Debug)]
pub struct WaitingMemory {
    limit: usize,
    used: AtomicUsize,
    /// Octets of each client that has some.
    clients: [Mutex<HashMap<IpAddr, usize>>; SHARDS],
}

/// Which limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// Of the process.
    Process,
    /// Of the client.
    Client,
}

/// Octets in use; dropping it frees them.
#[derive(Debug)]
pub(crate) struct Reservation {
    memory: Arc<WaitingMemory>,
    /// None for a refresh, and for a response to several.
    client: Option<IpAddr>,
    octets: usize,
}

impl Default for WaitingMemory {
    fn default() -> Self {
        Self::new(DEFAULT_LIMIT)
    }
}

impl WaitingMemory {
    /// At most `limit` octets. A query takes 2.6 KiB, more with a long name or several
    /// upstreams.
    pub fn new(limit: usize) -> Self {
        Self { limit, used: AtomicUsize::new(0), clients: std::array::from_fn(|_| Mutex::default()) }
    }

    /// Octets in use.
    pub fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    /// Reserves `octets`, for a client unless it is a refresh.
    pub(crate) fn reserve(
        self: &Arc<Self>,
        client: Option<IpAddr>,
        octets: usize,
    ) -> Result<Reservation, Full> {
        let before = self.used.fetch_add(octets, Relaxed);
        // From here on it is freed on every path.
        let mut reservation = Reservation { memory: Arc::clone(self), client: None, octets };
        if octets > self.limit.saturating_sub(before) {
            return Err(Full::Process);
        }
        if let Some(client) = client {
            let mut clients = self.shard(client);
            // Under the lock, with what other workers have reserved for this client.
            let free = self.limit.saturating_sub(self.used().saturating_sub(octets));
            let entry = clients.entry(client);
            let used = if let Entry::Occupied(entry) = &entry { *entry.get() } else { 0 };
            if octets > free.saturating_sub(used) {
                return Err(Full::Client);
            }
            *entry.or_default() += octets;
            reservation.client = Some(client);
        }
        Ok(reservation)
    }

    /// The shard of a client, by the last octet of its address.
    #[expect(clippy::indexing_slicing, reason = "the index is a remainder of the number of shards")]
    fn shard(&self, client: IpAddr) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        let last = match client {
            IpAddr::V4(client) => client.octets()[3],
            IpAddr::V6(client) => client.octets()[15],
        };
        let shard = &self.clients[usize::from(last) % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reservation {
    /// Reserves `octets` of the same memory for no client; `None` when it is full.
    pub(crate) fn reserve_shared(&self, octets: usize) -> Option<Self> {
        self.memory.reserve(None, octets).ok()
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(self.octets, Relaxed);
        let Some(client) = self.client else { return };
        let mut clients = self.memory.shard(client);
        if let Entry::Occupied(mut entry) = clients.entry(client) {
            *entry.get_mut() = entry.get().saturating_sub(self.octets);
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u8) -> Option<IpAddr> {
        Some([10, 233, 64, number].into())
    }

    /// Reserves one octet at a time until a limit is reached.
    fn fill(memory: &Arc<WaitingMemory>, client: Option<IpAddr>) -> (Vec<Reservation>, Full) {
        let mut reserved = Vec::new();
        loop {
            match memory.reserve(client, 1) {
                Ok(reservation) => reserved.push(reservation),
                Err(full) => return (reserved, full),
            }
        }
    }

    #[test]
    fn a_client_gets_as_much_as_it_leaves_free() {
        let memory = Arc::new(WaitingMemory::new(900));
        let (first, full) = fill(&memory, client(1));
        assert_eq!((first.len(), full), (450, Full::Client));
        let (second, full) = fill(&memory, client(2));
        assert_eq!((second.len(), full), (225, Full::Client));
        assert!(memory.reserve(client(3), 100).is_ok(), "others are served");
        drop(first);
        assert_eq!(memory.used(), 225);
        assert_eq!(fill(&memory, client(2)).0.len() + second.len(), 450);
    }

    #[test]
    fn all_clients_together_have_a_limit() {
        let memory = Arc::new(WaitingMemory::new(100));
        let each: Vec<Reservation> =
            (0..100).map(|number| memory.reserve(client(number), 1).unwrap()).collect();
        assert_eq!(memory.reserve(client(200), 1).unwrap_err(), Full::Process);
        assert_eq!(memory.reserve(None, 1).unwrap_err(), Full::Process);
        assert_eq!(memory.used(), 100);
        drop(each);
        assert_eq!(memory.used(), 0);
        assert!(memory.clients.iter().all(|clients| clients.lock().unwrap().is_empty()));
    }

    #[test]
    fn a_refresh_counts_on_no_client() {
        let memory = Arc::new(WaitingMemory::new(100));
        assert_eq!(fill(&memory, None).0.len(), 100);
        assert_eq!(memory.used(), 0);
    }
}
