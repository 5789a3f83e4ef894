//! Options of the `forward` directive.

use std::time::Duration;

use wire::header::Rcode;
use wire::name::Name;

use crate::transport::Transport;

/// Options of a `forward` directive. Upstreams are apart: as addresses in Corefile settings, as
/// [`super::Upstream`] in a resolver.
#[derive(Clone, Debug)]
pub struct ForwardOptions {
    /// The zone whose names are forwarded.
    pub from: Name,
    /// Zones within `from` that are not forwarded; `from` itself always is.
    pub except: Vec<Name>,
    /// The order in which upstreams are tried.
    pub policy: SelectionPolicy,
    /// `force_tcp` and `prefer_udp`.
    pub transport: TransportPreference,
    /// In-flight queries in the whole process; further ones are refused. 0 is no limit.
    pub max_concurrent: u32,
    /// Timeout of one attempt, above 0.
    pub read_timeout: Duration,
    /// Attempts per query.
    pub max_connect_attempts: MaxConnectAttempts,
    /// `max_fails`, `health_check` and `failfast_all_unhealthy_upstreams`.
    pub health_check: HealthCheck,
    /// RCODEs after which the next upstream is tried; the last upstream's response is relayed.
    pub failover: Vec<Rcode>,
    /// RCODEs after which the next `forward` of the block is tried.
    pub next: Vec<Rcode>,
    /// NODATA, too, has the next `forward` of the block tried.
    pub next_on_nodata: bool,
}

impl ForwardOptions {
    /// A `forward` of a zone without options, with CoreDNS's defaults.
    pub fn new(from: Name) -> Self {
        Self {
            from,
            except: Vec::new(),
            policy: SelectionPolicy::default(),
            transport: TransportPreference::default(),
            max_concurrent: 0,
            read_timeout: Duration::from_secs(2),
            max_connect_attempts: MaxConnectAttempts::default(),
            health_check: HealthCheck::default(),
            failover: Vec::new(),
            next: Vec::new(),
            next_on_nodata: false,
        }
    }

    /// True for a lower-case wire name that is forwarded.
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        if name == self.from.as_wire() {
            return true;
        }
        self.from.covers(name) && !self.except.iter().any(|zone| zone.covers(name))
    }
}

/// `policy` of `forward`: the order in which upstreams are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SelectionPolicy {
    /// A fresh permutation for each query.
    #[default]
    Random,
    /// Each query starts with the upstream after the previous query's first.
    RoundRobin,
    /// As written.
    Sequential,
}

/// `force_tcp` and `prefer_udp` of `forward`; `force_tcp` wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum TransportPreference {
    /// The client's transport.
    #[default]
    SameAsClient,
    /// Always TCP.
    ForceTcp,
    /// UDP, and TCP after a truncated response.
    PreferUdp,
}

impl TransportPreference {
    /// The transport of an upstream query for a client that used `client`.
    pub(crate) fn for_client(self, client: Transport) -> Transport {
        match self {
            Self::SameAsClient => client,
            Self::ForceTcp => Transport::Tcp,
            Self::PreferUdp => Transport::Udp,
        }
    }
}

/// `max_connect_attempts` of `forward`: attempts per query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum MaxConnectAttempts {
    /// Two for each upstream, as in CoreDNS 1.15; earlier versions have no limit.
    #[default]
    TwoPerUpstream,
    /// In total, above 0.
    Limit(u32),
    /// Until the query's deadline, with growing pauses.
    Unlimited,
}

/// Health checks of upstreams: a failed attempt starts one, any response ends it.
#[derive(Clone, Debug)]
pub struct HealthCheck {
    /// An upstream is down after more failed health checks than this; 0 disables them.
    pub max_fails: u32,
    /// Interval between health checks.
    pub interval: Duration,
    /// RD of a health check's query.
    pub recursion_desired: bool,
    /// QNAME of a health check's query; its QTYPE is NS.
    pub name: Name,
    /// With all upstreams down, queries fail at once instead of trying one of them.
    pub failfast: bool,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            max_fails: 2,
            interval: Duration::from_millis(500),
            recursion_desired: true,
            name: Name::root(),
            failfast: false,
        }
    }
}
