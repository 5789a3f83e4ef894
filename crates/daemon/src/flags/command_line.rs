//! The command line as clap parses it.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{ArgAction, CommandFactory, FromArgMatches, Parser};
use corefile::options::{DEFAULT_BASE_COREFILE, DEFAULT_COREFILE};
use corefile::{Options, SUPPORTED_DIRECTIVES, parse_listen_address};
use linux::confinement::SeccompMode;

use super::error::UsageError;
use super::go_syntax;
use super::validated::Flags;
use super::values::{boolean, local_ips, octets, optional_path, sync_interval, watchdog_seconds};

/// Parses and validates a command line in Go's syntax.
pub(super) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Flags, UsageError> {
    parse_gnu(to_gnu(args, &[]))?.validate(LocalIps::Required)
}

/// As [`parse`], for words in GNU's syntax and without the need of `-localip`.
pub(super) fn parse_without_local_ips(words: Vec<OsString>) -> Result<Flags, UsageError> {
    parse_gnu(words)?.validate(LocalIps::Optional)
}

/// Rewrites Go's syntax to GNU's. A flag that is not known takes a value, except those in `bare`.
pub(super) fn to_gnu(args: impl IntoIterator<Item = OsString>, bare: &[&str]) -> Vec<OsString> {
    let command = command();
    let takes_value = |name: &str| {
        command
            .get_arguments()
            .find(|arg| arg.get_long_and_visible_aliases().is_some_and(|names| names.contains(&name)))
            .map_or_else(|| !bare.contains(&name), |arg| !arg.is_require_equals_set())
    };
    go_syntax::to_gnu(args, takes_value)
}

fn parse_gnu(words: Vec<OsString>) -> Result<CommandLine, UsageError> {
    command().try_get_matches_from(words).and_then(|matches| CommandLine::from_arg_matches(&matches)).map_err(
        |error| {
            let is_text = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            UsageError { text: error.to_string(), code: if is_text { 0 } else { 2 } }
        },
    )
}

/// The flags; those with the value name [`BOOL`] may have a value, as Go's boolean flags.
fn command() -> clap::Command {
    CommandLine::command().mut_args(|arg| match arg.get_value_names() {
        Some([name]) if name == BOOL => arg
            .action(ArgAction::Set)
            .value_parser(boolean)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
        _ => arg,
    })
}

/// Whether `-localip` must be given.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LocalIps {
    Required,
    Optional,
}

/// Value name of a boolean flag.
const BOOL: &str = "BOOL";

/// Default of `-cni-results-dir`: where libcni keeps the results of plugins.
const DEFAULT_CNI_RESULTS_DIR: &str = "/var/lib/cni/results";

/// Default of `-handover-dir`.
const DEFAULT_HANDOVER_DIR: &str = "/run/nodelocaldns";

/// Per-node DNS cache for Kubernetes.
#[derive(Parser)]
#[command(
    name = "nodelocaldns",
    disable_version_flag = true,
    args_override_self = true,
    after_help = "Flags may have one dash, and a space instead of '='."
)]
struct CommandLine {
    /// Addresses to serve, separated by commas
    #[arg(long, value_name = "IPS", default_value = "", hide_default_value = true)]
    localip: String,
    /// Create the link and keep its addresses
    #[arg(long, value_name = BOOL, default_value = "true")]
    setupinterface: bool,
    /// Name of the link
    #[arg(long, value_name = "NAME", default_value = "nodelocaldns")]
    interfacename: String,
    /// Keep DNS packets of our addresses out of conntrack with packet-filter rules
    #[arg(long, value_name = BOOL, default_value = "true")]
    setupiptables: bool,
    /// While this process is gone or hangs, have the kernel send queries to the cluster's DNS
    #[arg(long = "fail-open", value_name = BOOL, default_value = "true")]
    fail_open: bool,
    /// Where to, one address per family [default: the upstream of the cluster's zones]
    #[arg(long = "fail-open-upstream", value_name = "IPS", default_value = "", hide_default_value = true)]
    fail_open_upstream: String,
    /// First conntrack zone of these queries, one per address; 0 uses marks, as without zones
    #[arg(long = "fail-open-zone", value_name = "NUMBER", default_value = "53053")]
    fail_open_zone: u16,
    /// Bits of packet and connection marks for these queries on a kernel without conntrack zones
    #[arg(long = "fail-open-mark", value_name = "MASK", default_value = "0x3000", value_parser = mark_mask)]
    fail_open_mark: u32,
    /// Drop packets to our addresses that come in on the interface of a default route
    #[arg(long, value_name = BOOL, default_value = "true")]
    guard: bool,
    /// Keep DNS packets out of conntrack; without it, fail-open and guard still need -setupiptables
    #[arg(long, value_name = BOOL, default_value = "true")]
    notrack: bool,
    /// Keep link and rules on exit
    #[arg(long, value_name = BOOL, default_value = "false")]
    skipteardown: bool,
    /// Seconds between checks of link and rules; 60, 60s and node-cache's 60ns mean the same
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = sync_interval)]
    syncinterval: Duration,
    /// Template of the Corefile, used if it exists
    #[arg(long, value_name = "FILE", default_value = DEFAULT_BASE_COREFILE)]
    basecorefile: String,
    /// Corefile, if -conf is not given
    #[arg(long, value_name = "FILE", default_value = DEFAULT_COREFILE)]
    corefile: String,
    /// Corefile; stdin for standard input
    #[arg(long, value_name = "FILE", default_value = "", hide_default_value = true)]
    conf: String,
    /// Directory of the ConfigMap of kube-dns, used with a template [default: /etc/kube-dns]
    #[arg(long, value_name = "DIRECTORY", default_value = "", hide_default_value = true)]
    kubednscm: String,
    /// Service whose address is the cluster DNS
    #[arg(long, value_name = "NAME", default_value = "kube-dns")]
    upstreamsvc: String,
    /// Second metrics endpoint; 0 for none
    #[arg(long = "metrics-listen-address", value_name = "ADDRESS", default_value = "0.0.0.0:9353")]
    metrics_listen_address: String,
    /// Metrics endpoint in the template and in the built-in Corefile
    #[arg(long = "prometheus-listen-address", value_name = "ADDRESS", default_value = ":9253")]
    prometheus_listen_address: String,
    /// Port of the health endpoint, for the packet-filter rules
    #[arg(long = "health-port", value_name = "PORT", default_value = "8080")]
    health_port: u16,
    /// Check the template every 10 s even without a reload directive
    #[arg(long, value_name = BOOL, default_value = "false")]
    reloadwithsignal: bool,
    /// In a container, seconds without progress after which the process is killed, 2 to 60; 0 for none
    #[arg(long, value_name = "SECONDS", default_value = "4", value_parser = watchdog_seconds)]
    watchdog: u64,
    /// File for the process ID
    #[arg(long, value_name = "FILE", default_value = "", hide_default_value = true)]
    pidfile: String,
    /// Port of server blocks without one
    #[arg(long = "dns.port", visible_alias = "p", value_name = "PORT", default_value = "53",
          value_parser = clap::value_parser!(u16).range(1..))]
    dns_port: u16,
    /// Do not log the zones on startup
    #[arg(long, value_name = BOOL, default_value = "false")]
    quiet: bool,
    /// List the supported directives
    #[arg(long, value_name = BOOL, default_value = "false")]
    plugins: bool,
    /// Show the version
    #[arg(long, value_name = BOOL, default_value = "false")]
    version: bool,
    /// Kind of the link: dummy, bridge, ifb, or auto for dummy and, where the kernel lacks it,
    /// bridge
    #[arg(long = "link-kind", value_name = "KIND", default_value = "auto")]
    link_kind: String,
    /// Keep statistics of names and clients, for `nodelocaldns top`, from sampled responses
    #[arg(long, value_name = BOOL, default_value = "true")]
    insight: bool,
    /// Directory of libcni's cached results, from which `top` and `trace` take the names of pods, if it
    /// exists; 0 for none
    #[arg(long = "cni-results-dir", value_name = "DIRECTORY", default_value = DEFAULT_CNI_RESULTS_DIR)]
    cni_results_dir: String,
    /// Serve a page of the status at / of the metrics addresses
    #[arg(long = "status-page", value_name = BOOL, default_value = "true")]
    status_page: bool,
    /// Worker threads [default: 2, or 1 on one core]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
    /// Memory for the cache, in octets or with Ki, Mi or Gi [default: from the memory limit]
    #[arg(long = "cache-bytes", value_name = "OCTETS", value_parser = octets)]
    cache_bytes: Option<u64>,
    /// In an outage of all upstreams of a server block, answer with entries that expired at most
    /// 30 s ago even without serve_stale
    #[arg(long = "stale-on-outage", value_name = BOOL, default_value = "true")]
    stale_on_outage: bool,
    /// Directory on the node for the hand-over socket and the cache snapshot, used if it exists; 0
    /// for none
    #[arg(long = "handover-dir", value_name = "DIRECTORY", default_value = DEFAULT_HANDOVER_DIR)]
    handover_dir: String,
    /// End the process when a thread makes a system call that its kind may not make (seccomp)
    #[arg(long, value_name = BOOL, default_value = "true")]
    seccomp: bool,
    /// Have the kernel log such calls instead, and make them
    #[arg(long = "seccomp-log", value_name = BOOL, default_value = "false")]
    seccomp_log: bool,
    /// Reach only the files of the configuration, as it is at the start, and the hand-over directory
    /// (Landlock)
    #[arg(long, value_name = BOOL, default_value = "true")]
    landlock: bool,
    /// Further files and folders that may be read, separated by commas
    #[arg(long = "landlock-read", value_name = "PATHS", default_value = "", hide_default_value = true)]
    landlock_read: String,
    /// Do not serve; report by the exit code whether the instance of this container serves
    #[arg(long, value_name = BOOL, default_value = "false")]
    probe: bool,
}

impl CommandLine {
    fn validate(self, need: LocalIps) -> Result<Flags, UsageError> {
        if self.version {
            return Err(UsageError::text(format!("nodelocaldns {}\n", env!("CARGO_PKG_VERSION"))));
        }
        if self.plugins {
            let names = SUPPORTED_DIRECTIVES.map(|name| format!("  dns.{name}\n")).concat();
            return Err(UsageError::text(format!("Server types:\n  dns\n\nOther plugins:\n{names}")));
        }
        if self.interfacename.is_empty() || self.interfacename.len() > 15 {
            let reason = "a link's name has 1 to 15 characters";
            return Err(invalid_value(&self.interfacename, "interfacename", reason));
        }
        let may_lack = need == LocalIps::Optional && self.localip.is_empty();
        let local_ips = if self.probe || may_lack { Ok(Vec::new()) } else { local_ips(&self.localip) };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Flags {
            options: Options {
                local_ips: local_ips.map_err(|reason| UsageError::wrong(&reason))?,
                base_corefile: self.basecorefile,
                corefile: self.corefile,
                conf: self.conf,
                kube_dns_config_map: self.kubednscm,
                upstream_service: self.upstreamsvc,
                prometheus_listen_address: self.prometheus_listen_address,
                dns_port: self.dns_port,
                stale_on_outage: self.stale_on_outage,
            },
            setup_interface: self.setupinterface,
            interface_name: self.interfacename,
            setup_iptables: self.setupiptables,
            fail_open: self.fail_open,
            fail_open_upstreams: fail_open_upstreams(&self.fail_open_upstream)?,
            fail_open_zone: self.fail_open_zone,
            fail_open_mark: self.fail_open_mark,
            guard: self.guard,
            notrack: self.notrack,
            skip_teardown: self.skipteardown,
            sync_interval: self.syncinterval,
            metrics_listen_address: metrics_listen_address(&self.metrics_listen_address)?,
            health_port: self.health_port,
            reload_with_signal: self.reloadwithsignal,
            watchdog_timeout: (self.watchdog > 0).then(|| Duration::from_secs(self.watchdog)),
            pid_file: optional_path(self.pidfile),
            quiet: self.quiet,
            link_kind: self.link_kind,
            insight: self.insight,
            cni_results_dir: optional_path(self.cni_results_dir).filter(|path| path.as_os_str() != "0"),
            status_page: self.status_page,
            workers: self.workers.map_or_else(|| cores.min(2), usize::from),
            cache_bytes: self.cache_bytes,
            handover_dir: optional_path(self.handover_dir).filter(|path| path.as_os_str() != "0"),
            seccomp: match (self.seccomp, self.seccomp_log) {
                (false, _) => SeccompMode::Off,
                (true, true) => SeccompMode::Log,
                (true, false) => SeccompMode::Enforce,
            },
            landlock: self.landlock,
            landlock_read: paths(&self.landlock_read),
            probe: self.probe,
        })
    }
}

fn paths(text: &str) -> Vec<PathBuf> {
    text.split(',').map(str::trim).filter(|path| !path.is_empty()).map(PathBuf::from).collect()
}

fn fail_open_upstreams(text: &str) -> Result<Vec<IpAddr>, UsageError> {
    let addresses = text.split(',').map(str::trim).filter(|address| !address.is_empty());
    let parsed = addresses.map(|address| {
        address.parse().map_err(|_| {
            invalid_value(text, "fail-open-upstream", &format!("{address} is not an IP address"))
        })
    });
    parsed.collect()
}

/// Bits of marks, decimal or `0x`: one block, so that its values are those of a number.
fn mark_mask(text: &str) -> Result<u32, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    let mask = parsed.map_err(|error| error.to_string())?;
    let block = mask >> mask.trailing_zeros().min(31);
    if mask == 0 || block & block.wrapping_add(1) != 0 {
        return Err("one block of bits is expected, such as 0x3000".to_owned());
    }
    Ok(mask)
}

fn metrics_listen_address(text: &str) -> Result<Option<SocketAddr>, UsageError> {
    if matches!(text, "" | "0") {
        return Ok(None);
    }
    let address = parse_listen_address(text);
    address.map(Some).map_err(|reason| invalid_value(text, "metrics-listen-address", &reason))
}

fn invalid_value(value: &str, flag: &str, reason: &str) -> UsageError {
    UsageError::wrong(&format!("invalid value \"{value}\" for -{flag}: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::mark_mask;

    #[test]
    fn a_mark_mask_is_one_block_of_bits() {
        for (text, mask) in [("0x3000", 0x3000), ("1", 1), ("0xffffffff", u32::MAX), ("0x80000000", 1 << 31)]
        {
            assert_eq!(mark_mask(text), Ok(mask), "{text}");
        }
        for text in ["0", "0x5000", "", "x", "0x", "-1", "0x100000000"] {
            assert!(mark_mask(text).is_err(), "{text}");
        }
    }
}
