//! The upstreams of a namespace: one CoreDNS at the addresses of the cluster's DNS, of the node's
//! resolvers and of private name servers, each kind with zones of its own, and over TLS; the zone
//! of the cluster comes from `testkit`.

use std::error::Error;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use testkit::upstream::Upstream;
use tools::failing_zones;

/// Addresses of the cluster's DNS.
const CLUSTER: [&str; 6] =
    ["10.96.0.11", "10.233.0.3", "10.43.0.10", "10.100.0.10", "fd00:90de:d95::a", "10.0.0.10"];
/// Addresses of the node's resolvers.
const RESOLVERS: [&str; 4] = ["192.0.2.53", "192.0.2.54", "2001:db8::53", "168.63.129.16"];
/// Addresses of private name servers.
const PRIVATE: [&str; 2] = ["10.1.2.3", "10.1.2.4"];
/// Other addresses that Corefiles bind.
const LOCAL: [&str; 11] = [
    "169.254.20.10",
    "169.254.20.25",
    "169.254.25.10",
    "169.254.10.10",
    "169.254.10.11",
    "169.254.116.108",
    "10.96.0.10",
    "172.20.0.10",
    "192.0.2.44",
    "fd00:90de:d95::1",
    "fd54:20a4:d33b::10",
];
/// Where the cluster's zone is served.
const CLUSTER_ZONE: Ipv4Addr = Ipv4Addr::new(127, 0, 2, 2);
/// Another port than 53, which a Corefile may bind on all addresses.
const CLUSTER_ZONE_PORT: u16 = 5353;
/// Name in the certificate of the resolvers.
const TLS_NAME: &str = "dns.resolver.test";

/// The commands for `ip -batch` that add all addresses to loopback.
pub(crate) fn addresses() -> String {
    let mut text = "link set lo up\n".to_owned();
    for address in CLUSTER.iter().chain(&RESOLVERS).chain(&PRIVATE).chain(&LOCAL) {
        let (length, options) = if address.contains(':') { (128, " nodad") } else { (32, "") };
        text.push_str(&format!("addr add {address}/{length} dev lo{options}\n"));
    }
    text
}

/// Starts the cluster's zone.
pub(crate) fn cluster_zone() -> std::io::Result<Upstream> {
    testkit::cluster_zone::start((CLUSTER_ZONE, CLUSTER_ZONE_PORT).into())
}

/// Writes the Corefile of the upstream and its zones into `directory`.
pub(crate) fn write_files(directory: &Path) -> Result<(), Box<dyn Error>> {
    fs::write(directory.join("root.zone"), include_str!("zones/root.zone"))?;
    fs::write(directory.join("private.zone"), include_str!("zones/private.zone"))?;
    fs::write(directory.join("Corefile"), corefile())?;
    Ok(())
}

/// Writes certificate and key of the resolvers, and the CA that signed it.
pub(crate) fn write_certificates(directory: &Path) -> Result<(), Box<dyn Error>> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "CA of side-by-side");
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let names = [TLS_NAME, "192.0.2.53", "192.0.2.54"].map(str::to_owned);
    let certificate = CertificateParams::new(names.to_vec())?.signed_by(&key, &ca)?;
    fs::write(directory.join("ca.pem"), ca.pem())?;
    fs::write(directory.join("server.pem"), certificate.pem())?;
    fs::write(directory.join("server.key"), key.serialize_pem())?;
    Ok(())
}

fn corefile() -> String {
    let mut text = String::new();
    let mut block = |key: &str, addresses: &[&str], body: &str| {
        let addresses = addresses.join(" ");
        text.push_str(&format!("{key} {{\n    bind {addresses}\n{body}}}\n"));
    };
    let root = "    file root.zone .\n";
    for zone in ["cluster.local", "old.cluster", "in-addr.arpa", "ip6.arpa"] {
        let body = format!("    forward . {CLUSTER_ZONE}:{CLUSTER_ZONE_PORT}\n");
        block(zone, &CLUSTER, &body);
    }
    let everywhere: Vec<&str> = CLUSTER.iter().chain(&RESOLVERS).copied().collect();
    block(".", &everywhere, root);
    for zone in ["corp.test", "example.com", "example.io"] {
        block(zone, &PRIVATE, &format!("    file private.zone {zone}\n"));
    }
    let tls = format!("    tls server.pem server.key\n{root}");
    block("tls://.", &["192.0.2.53", "192.0.2.54"], &tls);
    text.push_str(&failing_zones::server_blocks(&everywhere.join(" ")));
    text
}
