//! Trace: queries and responses as they pass, for subscribers.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::time::{Duration, Instant};

use resolver::action::ResponseSource;
use resolver::policy::RouteId;
use tokio::sync::mpsc;
use wire::header::{Rcode, RecordType};
use wire::name::Name;

/// Events that wait for a subscriber; further ones are dropped.
const QUEUE_LEN: usize = 512;
/// Subscribers at a time: each costs workers time.
pub(super) const MAX_SUBSCRIBERS: usize = 4;
/// Queries whose responses a subscriber awaits at most.
pub(crate) const MAX_PENDING: usize = 1024;
/// Of such a query at most, in a table that is half empty.
pub(crate) const PENDING_OCTETS: usize = 2 * 80 + NAME_OCTETS;
/// The largest name, as the allocator rounds it.
const NAME_OCTETS: usize = 272;
/// Of a subscriber at most: its queue, and the queries that it awaits.
const SUBSCRIBER_OCTETS: usize =
    QUEUE_LEN * (size_of::<TraceEvent>() + NAME_OCTETS) + MAX_PENDING * PENDING_OCTETS;

/// A query that arrived, or a response that was sent.
#[derive(Clone, Debug)]
pub(crate) struct TraceEvent {
    pub(crate) client: SocketAddr,
    pub(crate) is_tcp: bool,
    pub(crate) id: u16,
    /// QNAME in wire form and lower case.
    pub(crate) name: Box<[u8]>,
    pub(crate) qtype: RecordType,
    pub(crate) traced: Traced,
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Traced {
    /// It arrived.
    Query(Instant),
    /// It was answered.
    Response(TracedResponse),
}

/// A response that was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TracedResponse {
    pub(crate) rcode: Rcode,
    /// `None` for a query that was rejected before its zone was looked up.
    pub(crate) resolved: Option<(RouteId, ResponseSource)>,
    /// The upstream that it is from, or that was queried last.
    pub(crate) upstream: Option<SocketAddr>,
    /// From the arrival of the query.
    pub(crate) duration: Duration,
}

/// Which events a subscriber gets: those that match everything that is set.
#[derive(Clone, Debug, Default)]
pub(crate) struct TraceFilter {
    pub(crate) client: Option<IpAddr>,
    /// With `client`.
    pub(crate) port: Option<u16>,
    /// The name or a name below it.
    pub(crate) zone: Option<Name>,
}

impl TraceFilter {
    fn matches(&self, event: &TraceEvent) -> bool {
        self.client.is_none_or(|client| client == event.client.ip())
            && self.port.is_none_or(|port| port == event.client.port())
            && self.zone.as_ref().is_none_or(|zone| zone.covers(&event.name))
    }
}

/// The subscribers, shared by all workers.
#[derive(Debug, Default)]
pub(crate) struct TraceHub {
    /// Their number: what a worker reads while there is none.
    active: AtomicUsize,
    subscribers: RwLock<Vec<Subscriber>>,
    /// Events dropped because the list of subscribers was being changed.
    dropped: AtomicU64,
}

#[derive(Debug)]
struct Subscriber {
    filter: TraceFilter,
    queue: mpsc::Sender<TraceEvent>,
    dropped: Arc<AtomicU64>,
}

/// Events for a subscriber; dropping it ends the subscription.
#[derive(Debug)]
pub(crate) struct Subscription {
    hub: Arc<TraceHub>,
    events: mpsc::Receiver<TraceEvent>,
    dropped: Arc<AtomicU64>,
    dropped_before: u64,
}

impl TraceHub {
    /// True while someone traces.
    pub(super) fn is_active(&self) -> bool {
        self.active.load(Relaxed) > 0
    }

    /// Octets that the subscribers may take.
    pub(crate) fn octets(&self) -> usize {
        self.active.load(Relaxed) * SUBSCRIBER_OCTETS
    }

    /// `None` when as many have subscribed as may.
    pub(crate) fn subscribe(self: &Arc<Self>, filter: TraceFilter) -> Option<Subscription> {
        let (queue, events) = mpsc::channel(QUEUE_LEN);
        let dropped = Arc::<AtomicU64>::default();
        let mut subscribers = self.subscribers();
        if subscribers.len() >= MAX_SUBSCRIBERS {
            return None;
        }
        subscribers.push(Subscriber { filter, queue, dropped: Arc::clone(&dropped) });
        self.active.store(subscribers.len(), Relaxed);
        let dropped_before = self.dropped.load(Relaxed);
        Some(Subscription { hub: Arc::clone(self), events, dropped, dropped_before })
    }

    /// Passes an event on, without waiting.
    pub(super) fn publish(&self, event: &TraceEvent) {
        let Ok(subscribers) = self.subscribers.try_read() else {
            self.dropped.fetch_add(1, Relaxed);
            return;
        };
        for subscriber in subscribers.iter().filter(|subscriber| subscriber.filter.matches(event)) {
            if subscriber.queue.try_send(event.clone()).is_err() {
                subscriber.dropped.fetch_add(1, Relaxed);
            }
        }
    }

    fn subscribers(&self) -> RwLockWriteGuard<'_, Vec<Subscriber>> {
        self.subscribers.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    /// The next events, at most `limit`. Cancel safe.
    pub(crate) async fn receive(&mut self, limit: usize) -> Vec<TraceEvent> {
        let mut events = Vec::new();
        self.events.recv_many(&mut events, limit).await;
        events
    }

    /// Events dropped since the subscription.
    pub(crate) fn dropped(&self) -> u64 {
        let of_hub = self.hub.dropped.load(Relaxed).wrapping_sub(self.dropped_before);
        self.dropped.load(Relaxed).saturating_add(of_hub)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut subscribers = self.hub.subscribers();
        subscribers.retain(|subscriber| !Arc::ptr_eq(&subscriber.dropped, &self.dropped));
        self.hub.active.store(subscribers.len(), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(client: [u8; 4], name: &str) -> TraceEvent {
        TraceEvent {
            client: (client, 40_000).into(),
            is_tcp: false,
            id: 1,
            name: Name::parse(name).unwrap().as_wire().into(),
            qtype: RecordType::A,
            traced: Traced::Response(TracedResponse {
                rcode: Rcode::NOERROR,
                resolved: None,
                upstream: None,
                duration: Duration::ZERO,
            }),
        }
    }

    #[tokio::test]
    async fn a_subscriber_gets_what_its_filter_matches_and_the_number_of_what_did_not_fit() {
        let hub = Arc::new(TraceHub::default());
        assert!(!hub.is_active());
        let filter = TraceFilter {
            client: Some([10, 0, 0, 1].into()),
            port: None,
            zone: Some(Name::parse("test").unwrap()),
        };
        let mut subscription = hub.subscribe(filter).unwrap();
        assert!(hub.is_active());
        for (client, name) in
            [([10, 0, 0, 1], "a.test"), ([10, 0, 0, 2], "a.test"), ([10, 0, 0, 1], "a.nottest")]
        {
            hub.publish(&event(client, name));
        }
        assert_eq!(subscription.receive(9).await.len(), 1);
        for _ in 0..QUEUE_LEN + 3 {
            hub.publish(&event([10, 0, 0, 1], "test"));
        }
        assert_eq!((subscription.receive(QUEUE_LEN * 2).await.len(), subscription.dropped()), (QUEUE_LEN, 3));
        drop(subscription);
        assert!(!hub.is_active());
    }

    #[test]
    fn subscribers_are_limited() {
        let hub = Arc::new(TraceHub::default());
        let all: Vec<_> =
            (0..MAX_SUBSCRIBERS).map(|_| hub.subscribe(TraceFilter::default()).unwrap()).collect();
        assert!(hub.subscribe(TraceFilter::default()).is_none());
        drop(all);
        assert!(hub.subscribe(TraceFilter::default()).is_some());
    }
}
