//! Upstream endpoints: address, source address and TLS parameters of an upstream.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

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

/// Plain, at `port` of the loopback address.
#[cfg(test)]
pub(super) fn loopback(port: u16) -> Arc<UpstreamEndpoint> {
    Arc::new(UpstreamEndpoint { addr: (std::net::Ipv4Addr::LOCALHOST, port).into(), source: None, tls: None })
}
