//! Which address serves which endpoint.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// The addresses of each endpoint. An address may serve several. An unspecified address, `[::]` or
/// `0.0.0.0`, stands for every address of both families, as in Go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// `/health`
    pub health: Vec<SocketAddr>,
    /// `/ready`
    pub ready: Vec<SocketAddr>,
    /// `/metrics` of the `prometheus` directives.
    pub metrics: Vec<SocketAddr>,
    /// `/metrics` of `-metrics-listen-address`, which also counts its own scrapes.
    pub process_metrics: Option<SocketAddr>,
    /// Addresses that may be bound while the node does not have them (`-localip`).
    pub local_ips: Vec<IpAddr>,
}

/// The endpoints of one address; every other path is 404.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Roles {
    pub(super) health: bool,
    pub(super) ready: bool,
    pub(super) metrics: Option<MetricsPage>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum MetricsPage {
    Plain,
    /// With the families that count the endpoint's own scrapes.
    WithScrapes,
}

impl Endpoints {
    pub(super) fn by_address(&self) -> BTreeMap<SocketAddr, Roles> {
        let mut roles: BTreeMap<SocketAddr, Roles> = BTreeMap::new();
        for address in &self.health {
            roles.entry(*address).or_default().health = true;
        }
        for address in &self.ready {
            roles.entry(*address).or_default().ready = true;
        }
        for address in &self.metrics {
            roles.entry(*address).or_default().metrics = Some(MetricsPage::Plain);
        }
        if let Some(address) = self.process_metrics {
            roles.entry(address).or_default().metrics = Some(MetricsPage::WithScrapes);
        }
        roles
    }
}
