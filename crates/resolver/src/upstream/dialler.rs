//! Dialler of one upstream: places a query on an open connection or opens a new one, with pauses
//! after failed dials.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::connection_use::ConnectionUse;
use super::connections::Connections;
use super::dial_back_off::DialBackOff;
use super::lifetime::Lifetime;
use super::placement::{Placement, RESPONSIVE, Streams};
use super::sockets::{self, SocketPlacement, Sockets};
use crate::action::AttemptFailure;
use crate::counters::UpstreamCounters;
use crate::effects::Effects;
use crate::policy::{Upstream, UpstreamId, UpstreamState};
use crate::timers::Timer;
use crate::transport::Transport;

/// What decides whether a connection is opened, and how long it lives.
#[derive(Debug)]
pub(super) struct Dialler {
    upstream: UpstreamId,
    encrypted: bool,
    state: Arc<UpstreamState>,
    counters: Arc<UpstreamCounters>,
    lifetime: Lifetime,
    back_off: DialBackOff,
    random: StdRng,
}

impl Dialler {
    pub(super) fn new(upstream: &Upstream, random: &mut StdRng) -> Self {
        Self {
            upstream: upstream.id,
            encrypted: upstream.encrypted,
            state: Arc::clone(&upstream.state),
            counters: Arc::clone(&upstream.counters),
            lifetime: Lifetime::new(upstream),
            back_off: DialBackOff::default(),
            random: StdRng::from_rng(random),
        }
    }

    pub(super) fn random(&mut self) -> &mut StdRng {
        &mut self.random
    }

    /// The index of the connection that a query is sent on, opened if need be; none when the query
    /// has to wait.
    pub(super) fn place(
        &mut self,
        (transport, usage): (Transport, ConnectionUse),
        connections: &mut Connections,
        effects: &mut Effects<'_>,
    ) -> Option<usize> {
        match transport {
            Transport::Udp => Some(self.place_on_socket(usage, connections, effects)),
            Transport::Tcp => self.place_on_stream(usage, connections, effects),
        }
    }

    /// A dial has succeeded.
    pub(super) fn connected(&mut self) {
        self.back_off.reset();
    }

    /// A dial has failed: after several in a row, the next one has to wait.
    pub(super) fn dial_failed(&mut self, effects: &mut Effects<'_>) {
        if let Some(until) = self.back_off.dial_failed(effects.now) {
            effects.timers.schedule(until, Timer::Dial(self.upstream));
        }
    }

    /// A UDP socket could not be opened.
    pub(super) fn socket_failed(&mut self, now: Instant) {
        self.back_off.socket_failed(now);
    }

    /// False during a pause after failed dials.
    pub(super) fn permits_dial(&self, now: Instant) -> bool {
        self.back_off.permits_dial(now)
    }

    /// A new stream has given its first response; see [`Lifetime::first_response`].
    pub(super) fn first_response(&mut self, took: Duration, is_only: bool) {
        self.lifetime.first_response(took, self.state.srtt(), is_only);
    }

    /// A query was answered at once while a new connection did not answer it: that one is not
    /// served.
    pub(super) fn not_served(&mut self, now: Instant) {
        if !self.state.loses_packets(now) {
            self.lifetime.not_served();
        }
    }

    fn place_on_socket(
        &mut self,
        usage: ConnectionUse,
        connections: &mut Connections,
        effects: &mut Effects<'_>,
    ) -> usize {
        let can_open = self.back_off.permits_socket(effects.now);
        let sockets = Sockets { all: connections.all(), now: effects.now, can_open };
        match sockets.place(usage, &mut self.random) {
            SocketPlacement::Existing(index) => {
                self.count(Transport::Udp, true);
                return index;
            }
            SocketPlacement::ReplaceMismatched(index) => connections.replace_mismatched(index, effects),
            SocketPlacement::Replace(index) => self.replace(index, connections, effects),
            SocketPlacement::New => {}
        }
        self.count(Transport::Udp, false);
        let limits = sockets::limits(effects.now, &mut self.random);
        connections.open(Transport::Udp, limits, effects)
    }

    fn place_on_stream(
        &mut self,
        usage: ConnectionUse,
        connections: &mut Connections,
        effects: &mut Effects<'_>,
    ) -> Option<usize> {
        let now = effects.now;
        let is_paused = !self.back_off.permits_dial(now);
        match (Streams { all: connections.all(), now }).place(usage) {
            Placement::Existing(index) => {
                self.count(Transport::Tcp, true);
                return Some(index);
            }
            Placement::Queue => {
                if usage == ConnectionUse::Fresh {
                    // Looks again whether those in use still respond.
                    effects.timers.schedule(now + RESPONSIVE, Timer::Dial(self.upstream));
                }
                return None;
            }
            Placement::New | Placement::Replace(_) if is_paused => return None,
            Placement::Replace(index) => self.replace(index, connections, effects),
            Placement::New => {}
        }
        self.count(Transport::Tcp, false);
        let limits = self.lifetime.limits(now, &mut self.random);
        let index = connections.open(Transport::Tcp, limits, effects);
        if usage == ConnectionUse::Dedicated {
            self.counters.dedicated_connections.add(1);
            if let Some(connection) = connections.get_mut(index) {
                connection.is_dedicated = true;
            }
        }
        Some(index)
    }

    /// Closes a connection that another one takes the place of.
    fn replace(&mut self, index: usize, connections: &mut Connections, effects: &mut Effects<'_>) {
        if connections.close(index, AttemptFailure::TimedOut, effects) {
            self.dial_failed(effects);
        }
    }

    /// Counts a query by whether it was sent on an open connection.
    fn count(&self, transport: Transport, is_reused: bool) {
        let counters = &self.counters;
        let [udp, tcp, tls] = if is_reused { &counters.connection_hits } else { &counters.connection_misses };
        match transport {
            Transport::Udp => udp.add(1),
            Transport::Tcp if self.encrypted => tls.add(1),
            Transport::Tcp => tcp.add(1),
        }
    }
}
