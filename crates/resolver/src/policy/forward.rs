//! The `forward` directive: whom to ask, how, and what workers know of upstreams together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use wire::header::Rcode;
use wire::name::Name;

use crate::action::Transport;
use crate::counters::UpstreamCounters;

/// A `forward` directive.
#[derive(Debug)]
pub struct ForwardPolicy {
    /// Names in this zone.
    pub from: Name,
    /// But not those in these; a name equal to `from` is taken all the same.
    pub except: Vec<Name>,
    /// At least one.
    pub upstreams: Vec<Upstream>,
    /// In which order upstreams are tried.
    pub order: SelectionPolicy,
    /// How questions travel.
    pub transport: TransportPreference,
    /// More open questions than this are refused; 0 is no limit.
    pub max_concurrent: u32,
    /// How long an attempt may wait for its answer.
    pub read_timeout: Duration,
    /// `max_connect_attempts`.
    pub attempts: MaxConnectAttempts,
    /// How upstreams are found to be down and up again.
    pub health: HealthCheck,
    /// Response codes with which the next upstream is asked; with none left, the last answer is told.
    pub failover: Vec<Rcode>,
    /// Response codes with which the following `forward` of the block is asked.
    pub next: Vec<Rcode>,
    /// The following `forward` is also asked after NOERROR without the type asked for.
    pub next_on_nodata: bool,
    /// What all workers know of it.
    pub state: Arc<ForwardState>,
}

/// What workers share of a `forward`.
#[derive(Debug, Default)]
pub struct ForwardState {
    /// Answers its upstreams have given: a failure is kept no longer than until the next one.
    pub(crate) responses: AtomicU64,
    /// Open questions now.
    pub(crate) inflight_queries: AtomicU32,
    /// Whose turn it is, for [`SelectionPolicy::RoundRobin`].
    pub(crate) next_upstream: AtomicUsize,
}

/// `max_connect_attempts` of `forward`: attempts that a question may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum MaxConnectAttempts {
    /// Two for each upstream.
    #[default]
    TwoPerUpstream,
    /// This many in all, above 0.
    Limit(u32),
    /// As many as fit before the deadline, with growing pauses.
    Unlimited,
}

/// `max_fails`, `health_check` and `failfast_all_unhealthy_upstreams` of `forward`. A failed attempt starts probing;
/// any answer ends it.
#[derive(Clone, Debug)]
pub struct HealthCheck {
    /// An upstream is down after more failed probes than this; 0 never probes.
    pub max_fails: u32,
    /// From one probe to the next.
    pub interval: Duration,
    /// RD of the probe.
    pub recursion_desired: bool,
    /// The name probed for its NS records.
    pub name: Name,
    /// With all upstreams down queries fail at once; otherwise one upstream is tried.
    pub failfast: bool,
}

impl ForwardPolicy {
    /// False for an upstream that is down: too many probes have failed since it last answered.
    pub(crate) fn is_up(&self, upstream: usize) -> bool {
        let most = self.health.max_fails;
        let fails = |upstream: &Upstream| upstream.state.failed_probes.load(Relaxed);
        most == 0 || self.upstreams.get(upstream).is_none_or(|upstream| fails(upstream) <= most)
    }

    /// True when as many questions are open as `max_concurrent` allows.
    pub(crate) fn is_full(&self) -> bool {
        self.max_concurrent > 0 && self.state.inflight_queries.load(Relaxed) >= self.max_concurrent
    }

    /// True when a lower-case wire name is in its zone and not left out.
    pub(super) fn takes(&self, name: &[u8]) -> bool {
        if name == self.from.as_wire() {
            return true;
        }
        self.from.covers(name) && !self.except.iter().any(|zone| zone.covers(name))
    }
}

/// An upstream with the way it is reached: address, encryption, the life of connections. The number is the same for
/// the life of the process, over reloads too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UpstreamId(pub u16);

/// One upstream of a `forward`.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Its number.
    pub id: UpstreamId,
    /// Where it listens.
    pub addr: SocketAddr,
    /// It is reached by TLS, whatever the transport rule says.
    pub encrypted: bool,
    /// What is counted for it.
    pub counters: Arc<UpstreamCounters>,
    /// What all workers know of it.
    pub state: Arc<UpstreamState>,
}

/// What workers share of an upstream of one `forward`.
#[derive(Debug, Default)]
pub struct UpstreamState {
    /// Probes that failed since it last answered.
    pub(crate) failed_probes: AtomicU32,
    /// A worker probes it.
    pub(crate) probing: AtomicBool,
}

/// `policy` of `forward`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SelectionPolicy {
    /// A fresh permutation for each query.
    #[default]
    Random,
    /// The next one first, the rest in order.
    RoundRobin,
    /// As written.
    Sequential,
}

/// `force_tcp` and `prefer_udp` of `forward`; the first wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum TransportPreference {
    /// As the client came.
    #[default]
    SameAsClient,
    /// Always TCP.
    ForceTcp,
    /// UDP, and TCP when the answer is truncated.
    PreferUdp,
}

impl TransportPreference {
    /// How a question travels whose client came by `transport`.
    pub(crate) fn for_client(self, transport: Transport) -> Transport {
        match self {
            Self::SameAsClient => transport,
            Self::ForceTcp => Transport::Tcp,
            Self::PreferUdp => Transport::Udp,
        }
    }
}
