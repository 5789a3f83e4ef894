//! The actors: the daemon as a child process, and what a test says to it and hears from it.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testkit::RecordType;
use testkit::client::{Client, Pipeline, QueryOptions, Response};
use testkit::clock::now;
use testkit::upstream::Upstream;

use crate::log_output::LogOutput;
use crate::responses::get;

/// The bound of every wait for something that must happen: long enough for a busy machine, never waited for when
/// all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
/// From one look to the next at what tells nobody when it changes.
const LOOK: Duration = Duration::from_millis(5);

/// The daemon's ports on its address.
pub(crate) const DNS: u16 = 5300;
pub(crate) const HEALTH: u16 = 9254;
pub(crate) const READY: u16 = 8181;
const METRICS: u16 = 9353;

/// A Corefile with one block that forwards everything to `upstream`. `@` stands for the daemon's own address.
pub(crate) fn forwarding(upstream: &Upstream, options: &str) -> String {
    let upstream = upstream.addr();
    format!(
        ".:{DNS} {{
            bind @
            errors
            cache 30
            forward . {upstream} {{
                {options}
            }}
            prometheus @:9253
            ready @:{READY}
        }}
        "
    )
}

/// An upstream with the behaviours that names ask for, in CoreDNS's server_options.
pub(crate) fn upstream() -> Upstream {
    Upstream::start(localhost()).unwrap()
}

/// A free port on loopback.
pub(crate) fn localhost() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// A loopback address for one test: no other test of this process has it, and hardly one of another process.
pub(crate) fn own_address() -> Ipv4Addr {
    static LAST: AtomicU8 = AtomicU8::new(0);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    Ipv4Addr::new(127, 64 | (high & 0x3f), low, number.checked_add(1).unwrap())
}

/// A port for a test that listens on every address: below those that the kernel gives away, no other test of this
/// process has it, and hardly one of another process.
pub(crate) fn own_port() -> u16 {
    static LAST: AtomicU8 = AtomicU8::new(0);
    let number = u16::from(LAST.fetch_add(1, Ordering::Relaxed));
    10_000 + number + 10 * u16::try_from(std::process::id() % 2000).unwrap()
}

/// Whether loopback has an IPv6 address.
pub(crate) fn has_ipv6() -> bool {
    UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

/// Waits until `state` is reached, and says whether it was in time.
pub(crate) fn reached(limit: Duration, mut state: impl FnMut() -> bool) -> bool {
    let started = now();
    while !state() {
        if started.elapsed() > limit {
            return false;
        }
        sleep(LOOK);
    }
    true
}

/// Where several daemons serve one after another: an address and a directory in which they meet. Removed when dropped.
pub(crate) struct Node {
    pub(crate) ip: Ipv4Addr,
    /// For the hand-over.
    pub(crate) directory: PathBuf,
}

impl Node {
    pub(crate) fn new() -> Self {
        let ip = own_address();
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("node-{ip}"));
        fs::create_dir_all(&directory).unwrap();
        Self { ip, directory }
    }

    /// A daemon on this node.
    pub(crate) fn launch(&self, corefile: &str) -> Launch {
        let mut launch = Launch::new(corefile).arg(&format!("-handover-dir={}", self.directory.display()));
        launch.ip = Some(self.ip);
        launch
    }

    /// The files in the directory, by name.
    pub(crate) fn files(&self) -> Vec<String> {
        let files = fs::read_dir(&self.directory).unwrap();
        let mut names: Vec<String> =
            files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.directory));
    }
}

/// How the daemon is started.
pub(crate) struct Launch {
    ip: Option<Ipv4Addr>,
    corefile: String,
    args: Vec<String>,
    mute: bool,
    descriptors: Option<u32>,
}

impl Launch {
    /// With one worker, so that what is kept per worker is kept once.
    pub(crate) fn new(corefile: &str) -> Self {
        Self {
            ip: None,
            corefile: corefile.to_owned(),
            args: vec!["-workers=1".to_owned()],
            mute: false,
            descriptors: None,
        }
    }

    /// Adds an argument; the last of its name counts.
    pub(crate) fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// Nobody reads what it says on stdout.
    pub(crate) fn unread(mut self) -> Self {
        self.mute = true;
        self
    }

    /// It may have so many descriptors open and no more.
    pub(crate) fn descriptors(mut self, most: u32) -> Self {
        self.descriptors = Some(most);
        self
    }

    /// The program, by way of a shell where its limits are others than ours.
    fn program(&self) -> Command {
        let program = env!("CARGO_BIN_EXE_nodelocaldns");
        let Some(most) = self.descriptors else { return Command::new(program) };
        let mut shell = Command::new("sh");
        shell.args(["-c", "ulimit -n \"$0\" && exec \"$@\"", &most.to_string(), program]);
        shell
    }

    /// Starts the process and waits for nothing.
    pub(crate) fn start(self) -> Daemon {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let ip = self.ip.unwrap_or_else(own_address);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("process-{ip}-{number}"));
        fs::create_dir_all(&folder).unwrap();
        let corefile = folder.join("Corefile");
        fs::write(&corefile, self.corefile.replace('@', &ip.to_string())).unwrap();
        let mut child = self
            .program()
            .args(["-setupinterface=false", "-setupiptables=false"])
            .args(["-localip", &ip.to_string(), "-conf", corefile.to_str().unwrap()])
            .args(["-metrics-listen-address", &format!("{ip}:{METRICS}")])
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = (!self.mute).then(|| LogOutput::capture(child.stdout.take().unwrap()));
        let stderr = LogOutput::capture(child.stderr.take().unwrap());
        Daemon { ip, child, folder, stdout, stderr }
    }
}

/// The process; killed when dropped.
pub(crate) struct Daemon {
    pub(crate) ip: Ipv4Addr,
    child: Child,
    folder: PathBuf,
    stdout: Option<LogOutput>,
    stderr: LogOutput,
}

/// How the process ended.
#[derive(Debug)]
pub(crate) struct End {
    /// Nothing when a signal killed it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<String>,
    pub(crate) stderr: Vec<String>,
}

impl Daemon {
    /// Starts with a Corefile in which `@` stands for its own address, and waits until it is ready.
    pub(crate) fn start(corefile: &str) -> Self {
        Launch::new(corefile).start().when_ready()
    }

    /// Starts with one block that forwards everything to `upstream`.
    pub(crate) fn forwarding_to(upstream: &Upstream, options: &str) -> Self {
        Self::start(&forwarding(upstream, options))
    }

    /// Waits until `/ready` says so.
    pub(crate) fn when_ready(mut self) -> Self {
        let ready = reached(PATIENCE, || {
            assert!(self.child.try_wait().unwrap().is_none(), "ended at once: {:?}", self.heard());
            self.ready() == Some(200)
        });
        assert!(ready, "not ready in time: {:?}", self.heard());
        self
    }

    /// Its process number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where it serves.
    pub(crate) fn at(&self, port: u16) -> SocketAddr {
        (self.ip, port).into()
    }

    /// A client of its DNS port.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.at(DNS))
    }

    /// Asks for an address over UDP.
    pub(crate) fn ask(&self, name: &str) -> Response {
        self.ask_with(name, &QueryOptions::default())
    }

    /// Asks for an address.
    pub(crate) fn ask_with(&self, name: &str, options: &QueryOptions) -> Response {
        let asked = self.client().query(name, RecordType::A, options);
        asked.unwrap_or_else(|error| panic!("{name}: {error}; {:?}", self.heard()))
    }

    /// A TCP connection to its DNS port from another address than the one connections come from by default.
    pub(crate) fn connect_from(&self, source: Ipv4Addr) -> TcpStream {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((source, 0)).into()).unwrap();
        socket.connect(&self.at(DNS).into()).unwrap();
        let stream: TcpStream = socket.into();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// A TCP connection to its DNS port.
    pub(crate) fn connect(&self) -> Pipeline {
        Pipeline::connect(self.at(DNS), PATIENCE).unwrap()
    }

    /// The status of `/ready`; nothing while nobody listens.
    pub(crate) fn ready(&self) -> Option<u16> {
        get(self.at(READY), "/ready").map(|(status, _)| status)
    }

    /// The page with all metrics.
    pub(crate) fn page(&self) -> String {
        get(self.at(METRICS), "/metrics").unwrap().1
    }

    /// The sum of all series of `wanted`, which is a name or a name with some of its labels, in Prometheus's form;
    /// 0 when there are none.
    pub(crate) fn metric(&self, wanted: &str) -> u64 {
        let page = self.page();
        let (name, labels) = wanted.split_once('{').unwrap_or((wanted, "}"));
        let labels: Vec<&str> =
            labels.strip_suffix('}').unwrap().split_terminator(',').map(str::trim).collect();
        let series = page.lines().filter_map(|line| line.rsplit_once(' ')).filter(|(series, _)| {
            let (series_name, has) = series.split_once('{').unwrap_or((series, "}"));
            let has: Vec<&str> = has.trim_end_matches('}').split(',').collect();
            series_name == name && labels.iter().all(|label| has.contains(label))
        });
        series.map(|(_, value)| value.parse::<u64>().unwrap()).sum()
    }

    /// Waits until a metric has a value.
    pub(crate) fn metric_becomes(&self, wanted: &str, value: u64) -> bool {
        reached(PATIENCE, || self.metric(wanted) == value)
    }

    /// Writes another Corefile in the place of its own, as an editor does.
    pub(crate) fn edit(&self, corefile: &str) {
        let fresh = self.folder.join("Corefile.new");
        fs::write(&fresh, corefile.replace('@', &self.ip.to_string())).unwrap();
        fs::rename(fresh, self.folder.join("Corefile")).unwrap();
    }

    /// The path of a file beside its Corefile.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Everything it has said so far, on stdout and stderr.
    pub(crate) fn heard(&self) -> Vec<String> {
        let stdout = self.stdout.iter().flat_map(LogOutput::lines);
        stdout.chain(self.stderr.lines()).collect()
    }

    /// Waits for a line with `part` in it on stdout, and gives the first.
    pub(crate) fn says(&self, part: &str) -> String {
        let line = self.stdout.as_ref().unwrap().wait_for_line(part);
        line.unwrap_or_else(|| panic!("never said {part:?}: {:?}", self.heard()))
    }

    /// The lines that tell of a problem.
    pub(crate) fn complaints(&self) -> Vec<String> {
        self.heard().into_iter().filter(|line| !line.starts_with("[INFO]")).collect()
    }

    /// Waits for the end.
    pub(crate) fn end(mut self) -> End {
        let mut code = None;
        let ended = reached(PATIENCE, || {
            let status = self.child.try_wait().unwrap();
            code = status.and_then(|status| status.code());
            status.is_some()
        });
        assert!(ended, "still there: {:?}", self.heard());
        let stdout = self.stdout.as_mut().map(LogOutput::finish).unwrap_or_default();
        End { code, stdout, stderr: self.stderr.finish() }
    }

    /// Ends it as the kubelet does.
    pub(crate) fn terminate(self) -> End {
        self.signal(Signal::SIGTERM);
        self.end()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().unwrap_or_default();
        drop(self.child.wait());
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// True when `at` lies less than `limit` back.
pub(crate) fn within(limit: Duration, at: Instant) -> bool {
    at.elapsed() < limit
}
