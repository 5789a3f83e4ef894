//! [`Flags`]: the validated command line.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use corefile::Options;
use linux::confinement::SeccompMode;

/// The validated command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flags {
    /// Flags that the configuration depends on. `local_ips` has at least one address, but may be
    /// empty with `-probe` and in `nodelocaldns check`.
    pub options: Options,
    /// `-setupinterface`: create the link and keep its addresses.
    pub setup_interface: bool,
    /// `-interfacename`: name of the link, 1 to 15 octets.
    pub interface_name: String,
    /// `-setupiptables`: install and keep the packet-filter rules.
    pub setup_iptables: bool,
    /// `-fail-open`: while this process is gone or hangs, the kernel sends queries to the cluster's
    /// DNS servers.
    pub fail_open: bool,
    /// `-fail-open-upstream`: where to; empty for the upstream of the cluster's zones.
    pub fail_open_upstreams: Vec<IpAddr>,
    /// `-fail-open-zone`: the conntrack zone of the first address; 0 for marks.
    pub fail_open_zone: u16,
    /// `-fail-open-mark`: the bits of marks, one block.
    pub fail_open_mark: u32,
    /// `-notrack`: DNS packets of the addresses are excluded from conntrack.
    pub notrack: bool,
    /// `-guard`: packets to the addresses that come in on an uplink are dropped.
    pub guard: bool,
    /// `-skipteardown`: keep link and rules on exit.
    pub skip_teardown: bool,
    /// `-syncinterval`: interval between checks of link and rules, at least 1 s.
    pub sync_interval: Duration,
    /// `-metrics-listen-address`: second metrics endpoint; `None` for `0` or an empty value.
    pub metrics_listen_address: Option<SocketAddr>,
    /// `-health-port`: port of the health endpoint, for the packet-filter rules.
    pub health_port: u16,
    /// `-reloadwithsignal`: check the template even without a `reload` directive.
    pub reload_with_signal: bool,
    /// `-watchdog`: a process that makes no progress for so long is ended, in a container; `None` for
    /// `0`.
    pub watchdog_timeout: Option<Duration>,
    /// `-pidfile`: file for the process ID.
    pub pid_file: Option<PathBuf>,
    /// `-quiet`: do not log the zones on startup.
    pub quiet: bool,
    /// `-link-kind`: kind of the link, or `auto`.
    pub link_kind: String,
    /// `-insight`: statistics of names and clients are kept.
    pub insight: bool,
    /// `-cni-results-dir`: libcni's cached results, for the names of pods; `None` for `0` or an empty
    /// value.
    pub cni_results_dir: Option<PathBuf>,
    /// `-status-page`: the metrics addresses serve a page of the status.
    pub status_page: bool,
    /// `-workers`: worker threads, 1 to 256.
    pub workers: usize,
    /// `-cache-bytes`: memory for the cache in octets; `None` to derive it from the memory limit.
    pub cache_bytes: Option<u64>,
    /// `-handover-dir`: directory of the hand-over socket and the cache snapshot, used if it
    /// exists; `None` for `0` or an empty value.
    pub handover_dir: Option<PathBuf>,
    /// `-seccomp`, `-seccomp-log`: what happens when a thread makes a system call that its kind may not make.
    pub seccomp: SeccompMode,
    /// `-landlock`: the process reaches the files of its configuration only.
    pub landlock: bool,
    /// `-landlock-read`: further files and folders that it may read.
    pub landlock_read: Vec<PathBuf>,
    /// `-probe`: do not serve, but report whether the instance of this container does.
    pub probe: bool,
}
