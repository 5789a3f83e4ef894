//! The servers: CoreDNS as authoritative server and as the cluster's DNS, unbound resolving from
//! that root, and the daemon in front of both. Their configuration and logs are in one directory.

use std::error::Error;
use std::fs::{self, File};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use testkit::client::{Client, QueryOptions};
use testkit::clock::now;
use testkit::upstream::Upstream;
use testkit::{RecordType, ResponseCode};
use tools::failing_zones;

use crate::arguments::Arguments;
use crate::zones::{AUTHORITATIVE, FAILING, WITHOUT_ZONES, Zone};

/// CoreDNS as upstream, with all zones and the cluster's.
const COREDNS: &str = "127.0.2.1";
/// The cluster zone, to which CoreDNS forwards.
const CLUSTER: Ipv4Addr = Ipv4Addr::new(127, 0, 2, 2);
/// unbound.
const UNBOUND: &str = "127.0.3.1";
/// First octets of the daemon's addresses; numbers of upstream and transport follow.
const DAEMON: [u8; 2] = [127, 1];
/// Zones that CoreDNS signs; unbound has a wrong trust anchor for the second.
const SIGNED: [&str; 2] = ["signed.example.", "bogus.example."];
/// Time within which a server must respond after its start.
const START_TIMEOUT: Duration = Duration::from_secs(15);
/// Interval of polling a starting server.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A published key (RFC 8080 section 6.1): the signatures need to be valid, not secret.
const KEY: &str = "257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=";
const PRIVATE_KEY: &str = "Private-key-format: v1.2\nAlgorithm: 15 (ED25519)\n\
                           PrivateKey: ODIyNjAzODQ2MjgwODAxMjI2NDUxOTAyMDQxNDIyNjI=\n";
/// The other key of the same section, with which nothing is signed.
const WRONG_KEY: &str = "257 3 15 zPnZ/QwEe7S8C5SPz2OfS5RR40ATk2/rYnE9xHIEijs=";

/// An upstream, and the daemon's addresses that forward to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// Its name.
    pub(crate) upstream: &'static str,
    /// Its address.
    pub(crate) direct: SocketAddr,
    /// The daemon's addresses with `force_tcp`, `prefer_udp` and neither.
    pub(crate) through: [(&'static str, SocketAddr); 3],
}

/// All upstreams.
pub(crate) fn targets() -> [Target; 2] {
    let target = |number: u8, upstream, direct: &str| {
        let daemon = |last| SocketAddr::from(([DAEMON[0], DAEMON[1], number, last], 53));
        let through = [("force_tcp", daemon(1)), ("prefer_udp", daemon(2)), ("plain forward", daemon(3))];
        let direct = direct.parse().map_or_else(|_| daemon(0), |ip: IpAddr| (ip, 53).into());
        Target { upstream, direct, through }
    };
    [target(1, "coredns", COREDNS), target(2, "unbound", UNBOUND)]
}

/// The running servers, killed when dropped.
pub(crate) struct Servers {
    directory: PathBuf,
    children: Vec<(&'static str, Child)>,
    _cluster: Upstream,
}

impl Servers {
    /// Writes the files, starts all servers and waits until they respond.
    pub(crate) fn start_all(arguments: &Arguments, zones: &[Zone]) -> Result<Self, Box<dyn Error>> {
        let directory = arguments.comparison.work.clone();
        write_files(&directory, zones)?;
        let cluster = testkit::cluster_zone::start((CLUSTER, 53).into())?;
        let mut servers = Self { directory, children: Vec::new(), _cluster: cluster };
        servers.start(
            "coredns",
            Command::new(arguments.comparison.coredns.canonicalize()?).args(["-conf", "coredns.Corefile"]),
        )?;
        servers.start(
            "unbound",
            Command::new(arguments.unbound.canonicalize()?).args(["-d", "-p", "-c", "unbound.conf"]),
        )?;
        for target in targets() {
            servers.wait_for(target.upstream, target.direct)?;
        }
        let addresses: Vec<String> = targets()
            .iter()
            .flat_map(|target| target.through)
            .map(|(_, addr)| addr.ip().to_string())
            .collect();
        servers.start(
            "nodelocaldns",
            Command::new(arguments.comparison.daemon.canonicalize()?)
                .args(["-setupinterface=false", "-setupiptables=false", "-metrics-listen-address", "0"])
                .args(["-conf", "Corefile", "-localip", &addresses.join(",")]),
        )?;
        for (_, addr) in targets().iter().flat_map(|target| target.through) {
            servers.wait_for("nodelocaldns", addr)?;
        }
        Ok(servers)
    }

    fn start(&mut self, name: &'static str, command: &mut Command) -> io::Result<()> {
        let log = File::create(self.directory.join(format!("{name}.log")))?;
        command.current_dir(&self.directory).env_clear().stdin(Stdio::null());
        let child = command.stderr(log.try_clone()?).stdout(log).spawn();
        let child = child.map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", command.get_program().display()))
        })?;
        self.children.push((name, child));
        Ok(())
    }

    fn wait_for(&mut self, name: &str, addr: SocketAddr) -> Result<(), Box<dyn Error>> {
        let client = Client { server: addr, timeout: Duration::from_millis(500) };
        let started = now();
        while started.elapsed() < START_TIMEOUT {
            self.check_alive()?;
            let response = client.query("ns1.shop.example.", RecordType::A, &QueryOptions::default());
            if response.is_ok_and(|response| response.message.metadata.response_code == ResponseCode::NoError)
            {
                return Ok(());
            }
            thread::sleep(POLL_INTERVAL);
        }
        Err(format!("{name} does not respond at {addr}:\n{}", self.log(name)).into())
    }

    /// An error if a server has exited.
    pub(crate) fn check_alive(&mut self) -> Result<(), Box<dyn Error>> {
        for (name, child) in &mut self.children {
            if let Some(status) = child.try_wait()? {
                let name = *name;
                return Err(format!("{name} exited with {status}:\n{}", self.log(name)).into());
            }
        }
        Ok(())
    }

    /// The last lines of a server's log.
    fn log(&self, name: &str) -> String {
        let text = fs::read_to_string(self.directory.join(format!("{name}.log"))).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines.split_at(lines.len().saturating_sub(12)).1.join("\n")
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for (_, child) in &mut self.children {
            // An error means that the process has exited.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

fn write_files(directory: &Path, zones: &[Zone]) -> io::Result<()> {
    for zone in zones {
        fs::write(directory.join(format!("{}zone", zone.apex.trim_start_matches('.'))), &zone.text)?;
    }
    for apex in SIGNED {
        fs::write(directory.join(format!("{apex}.key")), format!("{apex} 3600 IN DNSKEY {KEY}\n"))?;
        fs::write(directory.join(format!("{apex}.private")), PRIVATE_KEY)?;
    }
    fs::write(
        directory.join("root.hints"),
        format!(". 86400 IN NS a.root.\na.root. 86400 IN A {AUTHORITATIVE}\n"),
    )?;
    fs::write(directory.join("coredns.Corefile"), coredns_corefile(zones))?;
    fs::write(directory.join("unbound.conf"), unbound_conf(directory))?;
    fs::write(directory.join("Corefile"), daemon_corefile())
}

fn coredns_corefile(zones: &[Zone]) -> String {
    let mut text = String::new();
    for Zone { apex, .. } in zones {
        let file = format!("{}zone", apex.trim_start_matches('.'));
        // Signatures differ by second, so only responses of the caching unbound can be compared.
        let signed = if SIGNED.contains(apex) {
            format!("    dnssec {{\n        key file {apex}\n    }}\n")
        } else {
            String::new()
        };
        text.push_str(&format!("{apex} {{\n    bind {AUTHORITATIVE}\n    file {file}\n{signed}}}\n"));
        text.push_str(&format!("{apex} {{\n    bind {COREDNS}\n    file {file}\n}}\n"));
    }
    text.push_str(&failing_zones::server_blocks(&format!("{FAILING} {COREDNS}")));
    // REFUSED for all names.
    text.push_str(&format!(
        "nothing.invalid {{\n    bind {WITHOUT_ZONES}\n    template ANY ANY {{\n    }}\n}}\n"
    ));
    for apex in ["cluster.local", "233.10.in-addr.arpa"] {
        text.push_str(&format!("{apex} {{\n    bind {COREDNS}\n    forward . {CLUSTER}\n}}\n"));
    }
    text
}

/// `aggressive-nsec: no`: CoreDNS's NSEC records deny more names than they should.
fn unbound_conf(directory: &Path) -> String {
    format!(
        "server:\n    directory: \"{}\"\n    interface: {UNBOUND}\n    access-control: 127.0.0.0/8 allow\n\
         \n    do-ip6: no\n    do-not-query-localhost: no\n    do-daemonize: no\n    chroot: \"\"\n    username: \"\"\
         \n    pidfile: \"\"\n    use-syslog: no\n    root-hints: root.hints\n    aggressive-nsec: no\n    ede: yes\n\
         \n    trust-anchor: \"signed.example. DNSKEY {KEY}\"\n    trust-anchor: \"bogus.example. DNSKEY {WRONG_KEY}\"\n\
         remote-control:\n    control-enable: no\n",
        directory.display()
    )
}

/// A server block for each upstream and transport, with the default `cache`.
fn daemon_corefile() -> String {
    let mut text = String::new();
    for target in targets() {
        for (option, addr) in target.through {
            let options =
                if option.contains(' ') { String::new() } else { format!(" {{\n        {option}\n    }}") };
            text.push_str(&format!(
                ". {{\n    bind {}\n    errors\n    cache\n    forward . {}{options}\n}}\n",
                addr.ip(),
                target.direct.ip()
            ));
        }
    }
    text
}
