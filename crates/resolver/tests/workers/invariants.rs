//! Connections and responses under random events from two upstreams.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use resolver::ResolverConfig;
use resolver::action::{AttemptFailure, SendQuery, Transport, UpstreamConnectionId};
use resolver::policy::{Forward, TransportPreference, Upstream, UpstreamId};
use testkit::fixture;

use crate::worker::{Worker, policy};

/// Shared, dedicated and draining connections, and sockets, per upstream.
const MAX_CONNECTIONS: usize = 2 * (32 + 32 + 33 + 16);

/// Timers within one wait after which the resolver is taken to loop.
const MAX_TIMERS: usize = 20_000;

#[derive(Clone, Copy, Debug)]
enum Event {
    Query,
    /// A dial succeeds, or fails.
    Established(usize),
    Refused(usize),
    /// The upstream responds to a query on a connection.
    Response(usize, Response),
    /// A message that matches no query, or is none.
    Mismatch(usize, bool),
    Closed(usize),
    /// Octets sent on a stream, or its SYN, are not acknowledged.
    Unacknowledged(usize),
    Time(u16),
}

#[derive(Clone, Copy, Debug)]
enum Response {
    Answer,
    Failure,
    Truncated,
    OtherQuestion,
}

/// An open connection and the queries on it that have no response.
struct Open {
    transport: Transport,
    is_established: bool,
    unanswered: BTreeMap<u16, Vec<u8>>,
}

struct Simulation {
    worker: Worker,
    open: BTreeMap<UpstreamConnectionId, Open>,
    /// Responses per query.
    responses: Vec<usize>,
}

impl Simulation {
    fn new(transport: TransportPreference) -> Self {
        let upstreams = (0..2).map(|number| Upstream { id: UpstreamId(number), ..fixture::upstream() });
        let mut forward = Forward { upstreams: upstreams.collect(), ..fixture::forward(fixture::upstream()) };
        forward.options.transport = transport;
        forward.options.health_check.max_fails = 0;
        let worker = Worker::with(ResolverConfig { ..fixture::resolver_config(policy(&forward)) });
        Self { worker, open: BTreeMap::new(), responses: Vec::new() }
    }

    fn play(&mut self, event: Event) {
        match event {
            Event::Query => {
                self.responses.push(0);
                self.worker.query(&format!("name-{}.example.test", self.responses.len() - 1));
            }
            Event::Established(chosen) => {
                let Some(id) = self.choose(chosen, |one| !one.is_established) else { return };
                self.establish(id);
            }
            Event::Refused(chosen) => {
                let Some(id) = self.choose(chosen, |one| !one.is_established) else { return };
                self.disconnect(id, AttemptFailure::Refused);
            }
            Event::Closed(chosen) => {
                let Some(id) = self.choose(chosen, |one| one.is_established) else { return };
                self.disconnect(id, AttemptFailure::Closed);
            }
            Event::Unacknowledged(chosen) => {
                let Some(id) = self.choose(chosen, |one| one.transport == Transport::Tcp) else { return };
                self.worker.call(|resolver, now, outbox| resolver.on_unacknowledged(now, id, outbox));
            }
            Event::Response(chosen, response) => self.respond(chosen, response),
            Event::Mismatch(chosen, is_message) => {
                let Some(id) = self.choose(chosen, |one| one.is_established) else { return };
                let unanswered = &self.open[&id].unanswered;
                let unused = (0..=u16::MAX).find(|id| !unanswered.contains_key(id)).unwrap();
                let [high, low] = unused.to_be_bytes();
                let octets = [high, low, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0];
                let message = if is_message { &octets[..] } else { &octets[..11] };
                self.worker.deliver(&sent_on(id), message);
            }
            Event::Time(milliseconds) => return self.wait(Duration::from_millis(milliseconds.into())),
        }
        self.check();
    }

    fn establish(&mut self, id: UpstreamConnectionId) {
        self.open.get_mut(&id).unwrap().is_established = true;
        self.worker.call(|resolver, now, outbox| resolver.on_connected(now, id, outbox));
    }

    fn disconnect(&mut self, id: UpstreamConnectionId, failure: AttemptFailure) {
        self.open.remove(&id);
        self.worker.fail(&(sent_on(id), Vec::new()), failure);
    }

    fn respond(&mut self, chosen: usize, response: Response) {
        let is_candidate = |one: &Open| one.is_established && !one.unanswered.is_empty();
        let Some(id) = self.choose(chosen, is_candidate) else { return };
        let unanswered = &mut self.open.get_mut(&id).unwrap().unanswered;
        let message_id = *unanswered.keys().nth(chosen % unanswered.len()).unwrap();
        let mut query = unanswered[&message_id].clone();
        let words: &[&str] = match response {
            Response::Answer => &["NXDOMAIN"],
            Response::Failure => &["SERVFAIL"],
            Response::Truncated => &["tc"],
            Response::OtherQuestion => {
                query[13] = query[13].wrapping_add(1);
                &["NXDOMAIN"]
            }
        };
        if !matches!(response, Response::OtherQuestion) {
            unanswered.remove(&message_id);
        }
        self.worker.respond(&(sent_on(id), query), words);
    }

    /// A connection for which `is_candidate` holds.
    fn choose(&self, chosen: usize, is_candidate: impl Fn(&Open) -> bool) -> Option<UpstreamConnectionId> {
        let candidates: Vec<_> = self.open.iter().filter(|(_, one)| is_candidate(one)).collect();
        let index = chosen.checked_rem(candidates.len())?;
        candidates.get(index).map(|(id, _)| **id)
    }

    fn wait(&mut self, time: Duration) {
        let limit = self.worker.now + time;
        let mut timers = 0;
        while self.worker.advance_to_timer(limit) {
            self.check();
            timers += 1;
            assert!(timers < MAX_TIMERS, "{timers} timers in {time:?}");
        }
        self.check();
    }

    /// Follows the actions of the last call.
    fn check(&mut self) {
        let actions = std::mem::take(&mut self.worker.actions);
        // The order between actions of different kinds is lost: a connection may be opened, used and
        // closed in one call.
        for dial in actions.dials {
            let is_established = dial.transport == Transport::Udp;
            let open = Open { transport: dial.transport, is_established, unanswered: BTreeMap::new() };
            assert!(self.open.insert(dial.connection, open).is_none(), "{dial:?} twice");
        }
        for (sent, message) in actions.queries {
            let one = self.open.get_mut(&sent.connection).expect("a query on an open connection");
            let id = message.first_chunk().copied().map(u16::from_be_bytes).unwrap();
            assert!(one.unanswered.insert(id, message).is_none(), "ID {id} is in use");
        }
        for closed in actions.closed {
            assert!(self.open.remove(&closed).is_some(), "{closed:?} is not open");
        }
        for response in actions.responses {
            let (_, name) = response.split_once("name-").expect("a name");
            let number: usize = name.split('.').next().unwrap().parse().unwrap();
            self.responses[number] += 1;
        }
        assert!(self.open.len() <= MAX_CONNECTIONS, "{} connections", self.open.len());
        let sockets = self.open.values().filter(|one| one.transport == Transport::Udp).count();
        assert!(sockets <= 2 * 16, "{sockets} sockets");
        assert!(self.responses.iter().all(|count| *count <= 1), "{:?}", self.responses);
    }

    fn finish(mut self) {
        self.wait(Duration::from_millis(4500));
        assert!(self.responses.iter().all(|count| *count == 1), "{:?}", self.responses);
        self.wait(Duration::from_secs(100));
        let open: Vec<_> = self.open.keys().collect();
        assert!(open.is_empty(), "{open:?} are open");
    }
}

fn sent_on(connection: UpstreamConnectionId) -> SendQuery {
    SendQuery { connection, message: (0, 0) }
}

fn event() -> impl Strategy<Value = Event> {
    let response = prop_oneof![
        4 => Just(Response::Answer),
        1 => Just(Response::Failure),
        1 => Just(Response::Truncated),
        1 => Just(Response::OtherQuestion),
    ];
    prop_oneof![
        8 => Just(Event::Query),
        4 => any::<usize>().prop_map(Event::Established),
        1 => any::<usize>().prop_map(Event::Refused),
        6 => (any::<usize>(), response).prop_map(|(chosen, response)| Event::Response(chosen, response)),
        1 => any::<(usize, bool)>().prop_map(|(chosen, is_message)| Event::Mismatch(chosen, is_message)),
        1 => any::<usize>().prop_map(Event::Closed),
        1 => any::<usize>().prop_map(Event::Unacknowledged),
        3 => (0_u16..400).prop_map(Event::Time),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn connections_stay_consistent_over_tcp(events in vec(event(), 0..300)) {
        let mut simulation = Simulation::new(TransportPreference::ForceTcp);
        events.into_iter().for_each(|event| simulation.play(event));
        simulation.finish();
    }

    #[test]
    fn connections_stay_consistent_over_udp(events in vec(event(), 0..300)) {
        let mut simulation = Simulation::new(TransportPreference::PreferUdp);
        events.into_iter().for_each(|event| simulation.play(event));
        simulation.finish();
    }
}
