//! Addresses, links and timeouts of the demonstration.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// Cluster IP of the Service `coredns`, as in kubespray.
pub(crate) const SERVICE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 233, 0, 3));
/// The link with the cluster IPs, as named by kube-proxy in IPVS mode.
pub(crate) const SERVICE_LINK: &str = "kube-ipvs0";
/// The daemon's link.
pub(crate) const LINK: &str = "nodelocaldns";
/// The daemon's address.
pub(crate) const LOCAL: &str = "169.254.25.10";
/// Timeout of the daemon's start and of its exit.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(15);
