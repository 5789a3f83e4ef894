//! Upstreams: whether they respond over UDP and TCP, and whether queries come back to us.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use corefile::settings::{Block, Forward, Settings};
use resolver::policy::TransportPreference;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::LocalSet;
use tokio::time;
use wire::frame;
use wire::header::{Class, Flags, HEADER_LEN, Header, RecordType};
use wire::query::OutgoingQuery;

use super::finding::Finding;

const GROUP: &str = "upstreams";
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// For a response, and the number of UDP queries.
const TIMEOUT: Duration = Duration::from_secs(1);
const UDP_ATTEMPTS: u32 = 2;

/// What an upstream is asked, and over what.
#[derive(Clone, Debug)]
struct Probe {
    address: SocketAddr,
    question: Vec<u8>,
    transport: TransportPreference,
    is_encrypted: bool,
}

/// Queries that would come back to us, as far as files and flags show it.
pub(super) fn loops(settings: Option<&Settings>, addresses: &[IpAddr]) -> Vec<Finding> {
    let forwards = settings.map(|settings| &settings.blocks).into_iter().flatten();
    let mut findings: Vec<Finding> = forwards
        .flat_map(|block| block.forwards.iter().map(move |forward| (block, forward)))
        .flat_map(|(block, forward)| {
            let ours = forward.upstreams.iter().filter(|upstream| addresses.contains(&upstream.ip()));
            ours.map(|upstream| {
                let message = format!("{}: the upstream {upstream} is an address of ours", block.location);
                Finding::problem(
                    GROUP,
                    message,
                    "forward to the cluster's DNS servers or to the nameservers of the network",
                )
            })
        })
        .collect();
    let text = fs::read_to_string(RESOLV_CONF).unwrap_or_default();
    for address in nameservers(&text).filter(|address| addresses.contains(address)) {
        let is_upstream = settings.is_some_and(|settings| reads(settings, RESOLV_CONF.as_ref()));
        let message = format!("{RESOLV_CONF} names {address}, an address of ours");
        findings.push(match is_upstream {
            true => Finding::problem(GROUP, message, "forward to other upstreams than this file"),
            false => Finding::warning(
                GROUP,
                message,
                "while no instance serves, the node itself resolves no names; CoreDNS must not forward to this file",
            ),
        });
    }
    findings
}

fn nameservers(text: &str) -> impl Iterator<Item = IpAddr> {
    let values = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    values.filter_map(|value| value.trim().parse().ok())
}

fn reads(settings: &Settings, file: &Path) -> bool {
    let forwards = settings.blocks.iter().flat_map(|block| &block.forwards);
    forwards.flat_map(|forward| &forward.files).any(|path| path == file)
}

/// Queries each upstream over UDP and TCP, all at once.
pub(super) async fn reachability(settings: &Settings) -> Vec<Finding> {
    let mut probes = BTreeMap::new();
    for (block, forward) in
        settings.blocks.iter().flat_map(|block| block.forwards.iter().map(move |forward| (block, forward)))
    {
        for address in &forward.upstreams {
            probes.entry(*address).or_insert_with(|| Probe::new(*address, block, forward));
        }
    }
    let local = LocalSet::new();
    let tasks: Vec<_> =
        probes.into_values().map(|probe| local.spawn_local(async move { probe.finding().await })).collect();
    local
        .run_until(async {
            let mut findings = Vec::new();
            for task in tasks {
                findings.extend(task.await.ok());
            }
            findings
        })
        .await
}

impl Probe {
    fn new(address: SocketAddr, block: &Block, forward: &Forward) -> Self {
        let of_block = block.keys.first().map(|key| &key.zone);
        let zone = Some(&forward.options.from).filter(|from| from.to_string() != ".").or(of_block);
        let name = zone.unwrap_or(&forward.options.from);
        let record_type = if name.to_string() == "." { RecordType::NS } else { RecordType::SOA };
        let mut question = name.as_wire().to_vec();
        question.extend(record_type.0.to_be_bytes());
        question.extend(Class::IN.0.to_be_bytes());
        let is_encrypted = forward.connection.tls.as_ref().is_some_and(|tls| tls.name(address).is_some());
        Self { address, question, transport: forward.options.transport, is_encrypted }
    }

    async fn finding(self) -> Finding {
        let address = self.address;
        if self.is_encrypted {
            return match time::timeout(TIMEOUT, TcpStream::connect(address)).await {
                Ok(Ok(_)) => {
                    Finding::ok(GROUP, format!("{address} accepts TCP connections; TLS was not tried"))
                }
                _ => unreachable_over(address, "TCP", "open TCP to it for this node"),
            };
        }
        let (udp, tcp) = tokio::join!(self.over_udp(), time::timeout(TIMEOUT, self.over_tcp()));
        let tcp = matches!(tcp, Ok(Ok(())));
        let is_needed = |over_tcp: bool| over_tcp == (self.transport == TransportPreference::ForceTcp);
        let only = |protocol: &str, other: &str, over_tcp: bool| {
            let message = format!("{address} responds over {protocol}, but not over {other}");
            let remedy = format!("open {other} port {} to it for this node", address.port());
            if is_needed(over_tcp) {
                Finding::problem(GROUP, message, remedy)
            } else {
                Finding::warning(GROUP, message, remedy)
            }
        };
        match (udp, tcp) {
            (true, true) => Finding::ok(GROUP, format!("{address} responds over UDP and TCP")),
            (true, false) => only("UDP", "TCP", true),
            (false, true) => only("TCP", "UDP", false),
            (false, false) => unreachable_over(
                address,
                "UDP and TCP",
                "is its Service there, and do its pods run and accept queries of nodes?",
            ),
        }
    }

    fn query(&self) -> (u16, Vec<u8>) {
        let (id, mut message) = (rand::random(), Vec::new());
        OutgoingQuery::new(id, &self.question).write(&mut message);
        (id, message)
    }

    async fn over_udp(&self) -> bool {
        for _ in 0..UDP_ATTEMPTS {
            if matches!(time::timeout(TIMEOUT, self.one_datagram()).await, Ok(Ok(()))) {
                return true;
            }
        }
        false
    }

    async fn one_datagram(&self) -> io::Result<()> {
        let any: IpAddr =
            if self.address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0)).await?;
        socket.connect(self.address).await?;
        let (id, query) = self.query();
        socket.send(&query).await?;
        let mut response = [0; HEADER_LEN];
        loop {
            let length = socket.recv(&mut response).await?;
            if response.get(..length).is_some_and(|octets| answers(octets, id)) {
                return Ok(());
            }
        }
    }

    async fn over_tcp(&self) -> io::Result<()> {
        let mut stream = TcpStream::connect(self.address).await?;
        let (id, query) = self.query();
        let mut message = Vec::new();
        frame::push(&query, &mut message);
        stream.write_all(&message).await?;
        let mut response = [0; frame::PREFIX_LEN + HEADER_LEN];
        stream.read_exact(&mut response).await?;
        let header = response.get(frame::PREFIX_LEN..).unwrap_or_default();
        if answers(header, id) { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
    }
}

/// Whether this is a response with this ID, whatever its code.
fn answers(octets: &[u8], id: u16) -> bool {
    Header::read(octets).is_some_and(|header| header.id == id && header.flags.has(Flags::QR))
}

fn unreachable_over(address: SocketAddr, protocols: &str, remedy: &str) -> Finding {
    Finding::problem(GROUP, format!("{address} does not respond over {protocols}"), remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nameservers_of_a_resolv_conf_are_its_addresses() {
        let text = "# x\nsearch a b\nnameserver 169.254.25.10\n nameserver\tfd00::1 \nnameserver x\noptions ndots:5\n";
        let found: Vec<String> = nameservers(text).map(|address| address.to_string()).collect();
        assert_eq!(found, ["169.254.25.10", "fd00::1"]);
    }
}
