//! ConnectionLimiter for clients by TCP: how many connections there may be, who goes when there are too many, and how much may wait
//! for clients that do not read. One room for all workers; they come here when a connection begins or ends.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use crate::clock;
use crate::metrics::ProcessCounters;

/// Connections of the process, where it may have the descriptors for them.
const MOST_CONNECTIONS: usize = 4096;
/// The clients' part of the descriptors; upstreams, listeners and endpoints need the others.
const PART_OF_DESCRIPTORS: u64 = 2;
/// Connections of one client address.
const MOST_PER_CLIENT: usize = 128;
/// No client alone gets more than this part of the room.
const PART_PER_CLIENT: usize = 4;
/// Octets that wait in all connections together, for clients to read or for the rest of a question to come.
const MOST_HELD: usize = 32 << 20;
/// A connection that holds no more than this is never closed for what others hold.
const SMALL_HOLD: usize = 16 << 10;

/// In the place of the time since when a connection is idle.
const BUSY: u64 = u64::MAX;

/// The room.
pub(crate) struct ConnectionLimiter {
    most: usize,
    opened: Instant,
    seats: Mutex<Seats>,
    held: AtomicUsize,
    process: Arc<ProcessCounters>,
}

#[derive(Default)]
struct Seats {
    of_clients: HashMap<IpAddr, Vec<Arc<Seat>>>,
    taken: usize,
}

/// A connection as the room sees it.
struct Seat {
    client: IpAddr,
    /// Milliseconds after the opening of the room, or [`BUSY`].
    idle_since: AtomicU64,
    wanted: Notify,
}

impl ConnectionLimiter {
    /// A room for as many connections as a process with `descriptors` can bear.
    pub(crate) fn new(descriptors: u64, process: Arc<ProcessCounters>) -> Self {
        let bearable = usize::try_from(descriptors / PART_OF_DESCRIPTORS).unwrap_or(MOST_CONNECTIONS);
        Self {
            most: bearable.min(MOST_CONNECTIONS),
            opened: clock::now(),
            seats: Mutex::default(),
            held: AtomicUsize::new(0),
            process,
        }
    }

    /// A place for a newcomer. Where there is none, the connection that has been idle longest gives up its own: of the
    /// same client if that one has too many, else of all. With none idle the newcomer is turned away.
    pub(super) fn admit(self: &Arc<Self>, client: IpAddr) -> Option<Place> {
        let mut seats = self.seats();
        let mine = seats.of_clients.get(&client).map_or(0, Vec::len);
        let counts = &self.process.connections;
        let full = if mine >= (self.most / PART_PER_CLIENT).clamp(1, MOST_PER_CLIENT) {
            Some((seats.longest_idle(Some(client)), &counts.evicted.client, &counts.refused.client))
        } else if seats.taken >= self.most {
            Some((seats.longest_idle(None), &counts.evicted.process, &counts.refused.process))
        } else {
            None
        };
        match full {
            None => {}
            Some((Some(idle), evicted, _)) => {
                seats.free(&idle);
                idle.wanted.notify_one();
                evicted.inc();
            }
            Some((None, _, refused)) => {
                refused.inc();
                return None;
            }
        }
        let seat = Arc::new(Seat { client, idle_since: AtomicU64::new(self.now()), wanted: Notify::new() });
        seats.of_clients.entry(client).or_default().push(Arc::clone(&seat));
        seats.taken += 1;
        counts.open.inc();
        Some(Place { room: Arc::clone(self), seat, held: std::cell::Cell::new(0) })
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        let since = clock::now().saturating_duration_since(self.opened).as_millis();
        u64::try_from(since).unwrap_or(BUSY - 1)
    }
}

impl Seats {
    fn longest_idle(&self, client: Option<IpAddr>) -> Option<Arc<Seat>> {
        let of_client = client.and_then(|client| self.of_clients.get(&client)).into_iter();
        let of_all = self.of_clients.values().filter(|_| client.is_none());
        let idle = of_client.chain(of_all).flatten().filter(|seat| seat.idle_since.load(Relaxed) != BUSY);
        idle.min_by_key(|seat| seat.idle_since.load(Relaxed)).map(Arc::clone)
    }

    /// Takes `seat` away, if it is still there.
    fn free(&mut self, seat: &Arc<Seat>) {
        let Some(mine) = self.of_clients.get_mut(&seat.client) else { return };
        let before = mine.len();
        mine.retain(|other| !Arc::ptr_eq(other, seat));
        self.taken -= before - mine.len();
        if mine.is_empty() {
            self.of_clients.remove(&seat.client);
        }
    }
}

/// A connection's place, given back when dropped.
pub(super) struct Place {
    room: Arc<ConnectionLimiter>,
    seat: Arc<Seat>,
    held: std::cell::Cell<usize>,
}

impl Place {
    /// A question is open, or an answer not taken: others must not take the place.
    pub(super) fn busy(&self) {
        self.seat.idle_since.store(BUSY, Relaxed);
    }

    /// Nothing is owed from now on.
    pub(super) fn idle(&self) {
        self.seat.idle_since.store(self.room.now(), Relaxed);
    }

    /// Resolves when another connection has taken the place.
    pub(super) async fn wanted(&self) {
        self.seat.wanted.notified().await;
    }

    /// Notes how many octets wait in this connection; false when it must end because all together are too many.
    pub(super) fn hold(&self, octets: usize) -> bool {
        let before = self.held.replace(octets);
        self.room.held.fetch_add(octets, Relaxed);
        let others = self.room.held.fetch_sub(before, Relaxed).saturating_sub(before + octets);
        octets <= SMALL_HOLD || others + octets <= MOST_HELD
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.held.fetch_sub(self.held.get(), Relaxed);
        self.room.seats().free(&self.seat);
        self.room.process.connections.open.dec();
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn room(descriptors: u64) -> Arc<ConnectionLimiter> {
        Arc::new(ConnectionLimiter::new(descriptors, Arc::default()))
    }

    fn client(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(0x0a00_0000 + number).into()
    }

    /// A place whose connection has been idle since then.
    fn idle_since(room: &Arc<ConnectionLimiter>, who: u32, since: u64) -> Place {
        let place = room.admit(client(who)).unwrap();
        place.seat.idle_since.store(since, Relaxed);
        place
    }

    fn busy(room: &Arc<ConnectionLimiter>, who: u32) -> Option<Place> {
        room.admit(client(who)).inspect(Place::busy)
    }

    async fn is_wanted(place: &Place) -> bool {
        tokio::time::timeout(std::time::Duration::ZERO, place.wanted()).await.is_ok()
    }

    fn counts(room: &ConnectionLimiter) -> [u64; 4] {
        let counts = &room.process.connections;
        [&counts.refused.process, &counts.refused.client, &counts.evicted.process, &counts.evicted.client]
            .map(crate::metrics::AtomicCounter::get)
    }

    #[test]
    fn clients_get_half_of_the_descriptors_and_no_more_than_the_most() {
        assert_eq!(room(64).most, 32);
        assert_eq!(room(u64::MAX).most, MOST_CONNECTIONS);
    }

    #[test]
    fn who_is_turned_away_is_not_remembered() {
        let room = room(1 << 20);
        let places: Vec<Place> = (0..4200).filter_map(|number| busy(&room, number)).collect();
        assert_eq!((places.len(), room.seats().of_clients.len()), (MOST_CONNECTIONS, MOST_CONNECTIONS));
        assert_eq!(counts(&room), [104, 0, 0, 0]);
        drop(places);
        assert!(room.seats().of_clients.is_empty());
        assert_eq!(room.process.connections.open.get(), 0);
    }

    #[test]
    fn a_client_with_too_many_is_turned_away_and_others_are_not() {
        let room = room(64);
        let places: Vec<Place> = (0..10).filter_map(|_| busy(&room, 1)).collect();
        assert_eq!((places.len(), counts(&room)), (8, [0, 2, 0, 0]));
        assert!(busy(&room, 2).is_some());
    }

    #[tokio::test]
    async fn the_connection_that_is_idle_longest_makes_room() {
        let room = room(8);
        let places = [
            idle_since(&room, 1, 30),
            idle_since(&room, 2, 10),
            idle_since(&room, 3, 20),
            busy(&room, 4).unwrap(),
        ];
        let newcomer = busy(&room, 5).unwrap();
        for (place, wanted) in places.iter().zip([false, true, false, false]) {
            assert_eq!(is_wanted(place).await, wanted);
        }
        assert_eq!((room.seats().taken, counts(&room)), (4, [0, 0, 1, 0]));
        drop(places);
        assert_eq!(room.seats().taken, 1, "a place is given back once");
        drop(newcomer);
        assert_eq!(room.seats().taken, 0);
    }

    #[tokio::test]
    async fn a_client_with_too_many_takes_its_own_idle_place_and_nobody_elses() {
        let room = room(32);
        let other = idle_since(&room, 1, 0);
        let mine: Vec<Place> = (1..=4).map(|since| idle_since(&room, 2, since)).collect();
        assert!(busy(&room, 2).is_some());
        assert!(is_wanted(&mine[0]).await && !is_wanted(&mine[1]).await && !is_wanted(&other).await);
        assert_eq!(counts(&room), [0, 0, 0, 1]);
    }

    #[test]
    fn what_all_hold_together_is_bounded_and_small_holds_are_never_the_reason() {
        let room = room(1 << 20);
        let places: Vec<Place> = (0..40).filter_map(|number| busy(&room, number)).collect();
        let stay = places.iter().filter(|place| place.hold(1 << 20)).count();
        assert_eq!(stay, 32);
        assert!(places[0].hold(SMALL_HOLD));
        drop(places);
        assert_eq!(room.held.load(Relaxed), 0);
    }
}
