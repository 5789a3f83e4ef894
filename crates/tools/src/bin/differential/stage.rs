//! The servers: CoreDNS with the world and as the cluster's upstream, unbound that resolves from the world's root,
//! and the daemon in front of both. Their files and what they say lie in one folder.

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

use crate::Arguments;
use crate::world::{MISBEHAVING, NOBODY, WORLD, Zone};

/// CoreDNS as an upstream, with all zones and the cluster's.
const COREDNS: &str = "127.0.2.1";
/// Where CoreDNS has the cluster's names from.
const CLUSTER: Ipv4Addr = Ipv4Addr::new(127, 0, 2, 2);
/// unbound.
const UNBOUND: &str = "127.0.3.1";
/// The daemon's addresses begin with this; the upstream's number and the transport's follow.
const DAEMON: [u8; 2] = [127, 1];
/// Zones that CoreDNS signs as it serves them; of the second, unbound knows another key.
const SIGNED: [&str; 2] = ["signed.example.", "bogus.example."];
/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(15);
/// From one look at a starting server to the next.
const GLANCE: Duration = Duration::from_millis(20);

/// A published key (RFC 8080 section 6.1): the signatures need to be valid, not secret.
const KEY: &str = "257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=";
const PRIVATE_KEY: &str = "Private-key-format: v1.2\nAlgorithm: 15 (ED25519)\n\
                           PrivateKey: ODIyNjAzODQ2MjgwODAxMjI2NDUxOTAyMDQxNDIyNjI=\n";
/// The key of the same section that did not sign anything here.
const WRONG_KEY: &str = "257 3 15 zPnZ/QwEe7S8C5SPz2OfS5RR40ATk2/rYnE9xHIEijs=";

/// An upstream, and the addresses of the daemon that forward to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course {
    /// Its name.
    pub(crate) upstream: &'static str,
    /// Where to ask it.
    pub(crate) direct: SocketAddr,
    /// Where the daemon asks it by TCP, by UDP, and as the client asks.
    pub(crate) through: [(&'static str, SocketAddr); 3],
}

/// The paths to compare.
pub(crate) fn courses() -> [Course; 2] {
    let path = |number: u8, upstream, direct: &str| {
        let own = |last| SocketAddr::from(([DAEMON[0], DAEMON[1], number, last], 53));
        let through = [("force_tcp", own(1)), ("prefer_udp", own(2)), ("plain forward", own(3))];
        let direct = direct.parse().map_or_else(|_| own(0), |ip: IpAddr| (ip, 53).into());
        Course { upstream, direct, through }
    };
    [path(1, "coredns", COREDNS), path(2, "unbound", UNBOUND)]
}

/// The running servers, killed when dropped.
pub(crate) struct Stage {
    folder: PathBuf,
    children: Vec<(&'static str, Child)>,
    _cluster: Upstream,
}

impl Stage {
    /// Writes the files, starts everything and waits until it answers.
    pub(crate) fn set_up(arguments: &Arguments, zones: &[Zone]) -> Result<Self, Box<dyn Error>> {
        let folder = arguments.work.clone();
        write_files(&folder, zones)?;
        let cluster = testkit::cluster_zone::start((CLUSTER, 53).into())?;
        let mut stage = Self { folder, children: Vec::new(), _cluster: cluster };
        stage.start(
            "coredns",
            Command::new(arguments.coredns.canonicalize()?).args(["-conf", "coredns.Corefile"]),
        )?;
        stage.start(
            "unbound",
            Command::new(arguments.unbound.canonicalize()?).args(["-d", "-p", "-c", "unbound.conf"]),
        )?;
        for course in courses() {
            stage.wait_for(course.upstream, course.direct)?;
        }
        let addresses: Vec<String> =
            courses().iter().flat_map(|course| course.through).map(|(_, at)| at.ip().to_string()).collect();
        stage.start(
            "nodelocaldns",
            Command::new(arguments.daemon.canonicalize()?)
                .args(["-setupinterface=false", "-setupiptables=false", "-metrics-listen-address", "0"])
                .args(["-conf", "Corefile", "-localip", &addresses.join(",")]),
        )?;
        for (_, at) in courses().iter().flat_map(|course| course.through) {
            stage.wait_for("nodelocaldns", at)?;
        }
        Ok(stage)
    }

    fn start(&mut self, name: &'static str, command: &mut Command) -> io::Result<()> {
        let log = File::create(self.folder.join(format!("{name}.log")))?;
        command.current_dir(&self.folder).env_clear().stdin(Stdio::null());
        let child = command.stderr(log.try_clone()?).stdout(log).spawn();
        let child = child.map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", command.get_program().display()))
        })?;
        self.children.push((name, child));
        Ok(())
    }

    fn wait_for(&mut self, name: &str, at: SocketAddr) -> Result<(), Box<dyn Error>> {
        let client = Client { server: at, timeout: Duration::from_millis(500) };
        let began = now();
        while began.elapsed() < PATIENCE {
            self.check_alive()?;
            let reply = client.query("ns1.shop.example.", RecordType::A, &QueryOptions::default());
            if reply.is_ok_and(|reply| reply.message.metadata.response_code == ResponseCode::NoError) {
                return Ok(());
            }
            thread::sleep(GLANCE);
        }
        Err(format!("{name} does not answer on {at}:\n{}", self.log(name)).into())
    }

    /// Whether all of them still run.
    pub(crate) fn check_alive(&mut self) -> Result<(), Box<dyn Error>> {
        for (name, child) in &mut self.children {
            if let Some(status) = child.try_wait()? {
                let name = *name;
                return Err(format!("{name} ended with {status}:\n{}", self.log(name)).into());
            }
        }
        Ok(())
    }

    /// The last lines that a server has written.
    fn log(&self, name: &str) -> String {
        let text = fs::read_to_string(self.folder.join(format!("{name}.log"))).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines.split_at(lines.len().saturating_sub(12)).1.join("\n")
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for (_, child) in &mut self.children {
            // Killing what has ended is an error of no interest.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

fn write_files(folder: &Path, zones: &[Zone]) -> io::Result<()> {
    for zone in zones {
        fs::write(folder.join(format!("{}zone", zone.apex.trim_start_matches('.'))), &zone.text)?;
    }
    for apex in SIGNED {
        fs::write(folder.join(format!("{apex}.key")), format!("{apex} 3600 IN DNSKEY {KEY}\n"))?;
        fs::write(folder.join(format!("{apex}.private")), PRIVATE_KEY)?;
    }
    fs::write(folder.join("root.hints"), format!(". 86400 IN NS a.root.\na.root. 86400 IN A {WORLD}\n"))?;
    fs::write(folder.join("coredns.Corefile"), coredns_corefile(zones))?;
    fs::write(folder.join("unbound.conf"), unbound_conf(folder))?;
    fs::write(folder.join("Corefile"), daemon_corefile())
}

fn coredns_corefile(zones: &[Zone]) -> String {
    let mut text = String::new();
    for Zone { apex, .. } in zones {
        let file = format!("{}zone", apex.trim_start_matches('.'));
        // Signatures of different seconds differ, so only who keeps them can be compared with.
        let signed = if SIGNED.contains(apex) {
            format!("    dnssec {{\n        key file {apex}\n    }}\n")
        } else {
            String::new()
        };
        text.push_str(&format!("{apex} {{\n    bind {WORLD}\n    file {file}\n{signed}}}\n"));
        text.push_str(&format!("{apex} {{\n    bind {COREDNS}\n    file {file}\n}}\n"));
    }
    for (apex, rcode) in [
        ("fails", "SERVFAIL"),
        ("refuses", "REFUSED"),
        ("knows-not", "NOTIMP"),
        ("empty", "NOERROR"),
        ("no-soa", "NXDOMAIN"),
    ] {
        text.push_str(&format!(
            "{apex}.example {{\n    bind {MISBEHAVING} {COREDNS}\n    template ANY ANY {{\n        rcode {rcode}\n    }}\n}}\n"
        ));
    }
    // REFUSED to whatever is asked there.
    text.push_str(&format!("nothing.invalid {{\n    bind {NOBODY}\n    template ANY ANY {{\n    }}\n}}\n"));
    for apex in ["cluster.local", "233.10.in-addr.arpa"] {
        text.push_str(&format!("{apex} {{\n    bind {COREDNS}\n    forward . {CLUSTER}\n}}\n"));
    }
    text
}

/// CoreDNS denies more by NSEC than is true of the name, which only the question at hand may take it for.
fn unbound_conf(folder: &Path) -> String {
    format!(
        "server:\n    directory: \"{}\"\n    interface: {UNBOUND}\n    access-control: 127.0.0.0/8 allow\n\
         \n    do-ip6: no\n    do-not-query-localhost: no\n    do-daemonize: no\n    chroot: \"\"\n    username: \"\"\
         \n    pidfile: \"\"\n    use-syslog: no\n    root-hints: root.hints\n    aggressive-nsec: no\n    ede: yes\n\
         \n    trust-anchor: \"signed.example. DNSKEY {KEY}\"\n    trust-anchor: \"bogus.example. DNSKEY {WRONG_KEY}\"\n\
         remote-control:\n    control-enable: no\n",
        folder.display()
    )
}

/// A block for each upstream and transport, each with CoreDNS's default cache of its own.
fn daemon_corefile() -> String {
    let mut text = String::new();
    for course in courses() {
        for (option, at) in course.through {
            let options =
                if option.contains(' ') { String::new() } else { format!(" {{\n        {option}\n    }}") };
            text.push_str(&format!(
                ". {{\n    bind {}\n    errors\n    cache\n    forward . {}{options}\n}}\n",
                at.ip(),
                course.direct.ip()
            ));
        }
    }
    text
}
