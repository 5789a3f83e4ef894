//! Services of the cluster, and external names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The cluster's domain.
pub const CLUSTER_DOMAIN: &str = "cluster.local.";

/// A Service.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// Its namespace.
    pub namespace: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub service_type: ServiceType,
    /// Its ports.
    pub ports: &'static [Port],
}

/// The type of a Service.
#[derive(Clone, Copy, Debug)]
pub enum ServiceType {
    /// A cluster IP.
    ClusterIp(IpAddr),
    /// The addresses of its pods, without a cluster IP.
    Headless(&'static [Pod]),
    /// A CNAME to this absolute name.
    ExternalName(&'static str),
}

/// A port of a Service.
#[derive(Clone, Copy, Debug)]
pub struct Port {
    /// Its name; a port with an empty name has no SRV record of its own.
    pub name: &'static str,
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// Its number.
    pub number: u16,
}

/// A pod with a host name under a headless Service, as in a StatefulSet.
#[derive(Clone, Copy, Debug)]
pub struct Pod {
    /// Its host name.
    pub name: &'static str,
    /// Its address.
    pub address: IpAddr,
}

/// All Services.
#[rustfmt::skip]
pub const SERVICES: &[Service] = &[
    service("default", "kubernetes", address(10, 233, 0, 1), &[tcp("https", 443)]),
    service("default", "myweb-svc", address(10, 233, 18, 231), &[tcp("", 80)]),
    service("default", "alpaca-prod", address(10, 96, 78, 232), &[tcp("", 8080)]),
    service("default", "bandicoot-prod", address(10, 96, 191, 162), &[tcp("", 8080)]),
    service("default", "crane-http", address(10, 96, 49, 75), &[tcp("http", 80), tcp("https", 443)]),
    service("default", "hello-node-svc", address(10, 233, 44, 12), &[tcp("http", 80)]),
    service("default", "myweb-headless", ServiceType::Headless(MYWEB_PODS), &[tcp("http", 8080)]),
    service("default", "google", ServiceType::ExternalName("www.google.com."), &[]),
    service("kube-system", "coredns", address(10, 233, 0, 3), DNS_PORTS),
    service("kube-system", "kube-dns", address(10, 96, 0, 10), DNS_PORTS),
];

const MYWEB_PODS: &[Pod] = &[
    pod("myweb-0", [10, 233, 90, 11]),
    pod("myweb-1", [10, 233, 92, 12]),
    pod("myweb-2", [10, 233, 96, 13]),
];

const DNS_PORTS: &[Port] = &[
    Port { name: "dns", protocol: "udp", number: 53 },
    Port { name: "dns-tcp", protocol: "tcp", number: 53 },
    Port { name: "metrics", protocol: "tcp", number: 9153 },
];

/// External names, absolute, with documentation addresses (RFC 5737, RFC 3849).
pub const EXTERNAL_NAMES: &[(&str, &[IpAddr])] = &[
    (
        "www.google.com.",
        &[
            IpAddr::V4(Ipv4Addr::new(198, 51, 100, 104)),
            IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x4000, 0, 0, 0, 0, 0x2004)),
        ],
    ),
    ("kubernetes.io.", &[IpAddr::V4(Ipv4Addr::new(198, 51, 100, 75))]),
];

const fn service(
    namespace: &'static str,
    name: &'static str,
    service_type: ServiceType,
    ports: &'static [Port],
) -> Service {
    Service { namespace, name, service_type, ports }
}

const fn address(a: u8, b: u8, c: u8, d: u8) -> ServiceType {
    ServiceType::ClusterIp(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
}

const fn tcp(name: &'static str, number: u16) -> Port {
    Port { name, protocol: "tcp", number }
}

const fn pod(name: &'static str, [a, b, c, d]: [u8; 4]) -> Pod {
    Pod { name, address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)) }
}
