//! Upstream endpoints: address, TLS parameters and connection options of an upstream.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use resolver::action::Transport;
use resolver::counters::UpstreamCounters;
use resolver::policy::UpstreamId;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

/// How an upstream is reached.
pub(crate) struct UpstreamEndpoint {
    pub(crate) addr: SocketAddr,
    /// The source address of our sockets; the kernel's choice if not given.
    pub(crate) source: Option<IpAddr>,
    /// DNS over TLS (RFC 7858).
    pub(crate) tls: Option<TlsParams>,
    /// How long an idle connection is kept.
    pub(crate) idle_timeout: Duration,
    /// How long a connection is used; about a minute if not given.
    pub(crate) max_age: Option<Duration>,
    /// Idle connections kept at most; unlimited if not given.
    pub(crate) max_idle: Option<NonZeroUsize>,
    pub(crate) counters: Arc<UpstreamCounters>,
}

/// Every upstream of a configuration.
pub(crate) type UpstreamEndpoints = HashMap<UpstreamId, Arc<UpstreamEndpoint>>;

#[derive(Clone, Debug)]
pub(crate) struct TlsParams {
    /// Trusted roots and our own certificate.
    pub(crate) config: Arc<ClientConfig>,
    /// The name that the upstream's certificate must have.
    pub(crate) name: ServerName<'static>,
}

impl UpstreamEndpoint {
    /// Counts a query by whether it was sent on an open connection.
    pub(super) fn count(&self, transport: Transport, is_reused: bool) {
        let counters = &self.counters;
        let counters = if is_reused { &counters.connection_hits } else { &counters.connection_misses };
        let [udp, tcp, tls] = counters;
        match transport {
            Transport::Udp => udp.add(1),
            Transport::Tcp if self.tls.is_some() => tls.add(1),
            Transport::Tcp => tcp.add(1),
        }
    }
}

/// Plain, at `port` of the loopback address.
#[cfg(test)]
pub(super) fn loopback(port: u16) -> Arc<UpstreamEndpoint> {
    Arc::new(UpstreamEndpoint {
        addr: (std::net::Ipv4Addr::LOCALHOST, port).into(),
        source: None,
        tls: None,
        idle_timeout: Duration::from_secs(10),
        max_age: None,
        max_idle: None,
        counters: Arc::default(),
    })
}
