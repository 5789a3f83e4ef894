//! The command line: node-cache's flags under their names, and a few of our own.
//!
//! Flags are written as Go programs take them: `-localip x`, `-localip=x`, `--localip x`, `--localip=x`, and
//! those that are true or false bare or with `=true`, `=false`, `=1`, `=0`, `=t`, `=f`. A flag given twice
//! counts as given last.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{ArgAction, CommandFactory, FromArgMatches, Parser};
use corefile::options::{DEFAULT_BASE_COREFILE, DEFAULT_COREFILE};
use corefile::{Options, SUPPORTED_DIRECTIVES, duration, parse_listen_address};

/// Where instances meet for a hand-over.
pub const DEFAULT_HANDOVER_DIR: &str = "/run/nodelocaldns";

/// The command line, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flags {
    /// What the configuration depends on; without `-probe`, `local_ips` has at least one address.
    pub options: Options,
    /// `-setupinterface`: make the link and keep its addresses.
    pub setup_interface: bool,
    /// `-interfacename`: the name of the link, 1 to 15 octets.
    pub interface_name: String,
    /// `-setupiptables`: install and keep the packet filter rules.
    pub setup_iptables: bool,
    /// `-skipteardown`: leave link and rules when ending.
    pub skip_teardown: bool,
    /// `-syncinterval`: from one check of link and rules to the next, at least 1 s.
    pub sync_interval: Duration,
    /// `-metrics-listen-address`: where the second metrics endpoint is served; none for `0` or nothing.
    pub metrics_listen_address: Option<SocketAddr>,
    /// `-health-port`: the port of the health endpoint, which the packet filter rules name.
    pub health_port: u16,
    /// `-reloadwithsignal`: reload on SIGUSR1 rather than by the `reload` directive.
    pub reload_with_signal: bool,
    /// `-pidfile`: where the process number is written.
    pub pid_file: Option<PathBuf>,
    /// `-quiet`: no lines about zones at the start.
    pub quiet: bool,
    /// `-link-kind`: the kind of the link, or `auto`.
    pub link_kind: String,
    /// `-workers`: threads that serve, 1 to 256.
    pub workers: usize,
    /// `-cache-bytes`: memory for all cached answers, octets; none to choose from the limit of the cgroup.
    pub cache_bytes: Option<u64>,
    /// `-handover-dir`: where a successor finds us and a snapshot of the cache is kept, used if it is there; none for `0`
    /// or nothing.
    pub handover_dir: Option<PathBuf>,
    /// `-probe`: do not serve, but say whether the instance of this container does. `local_ips` is empty then.
    pub probe: bool,
}

/// The command line ends the process: it was wrong, or it asked for a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageError {
    /// What to print, with the last newline; on stdout when `code` is 0, on stderr else.
    pub text: String,
    /// The exit code: 0 for `-help`, `-version` and `-plugins`, 2 for a wrong command line, as Go's flag
    /// package has it.
    pub code: u8,
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for UsageError {}

/// Reads the command line, the name of the program first.
///
/// # Errors
/// A [`UsageError`] that says what is wrong or has the text that was asked for.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Flags, UsageError> {
    let command = CommandLine::command();
    let takes_value = |name: &str| {
        command
            .get_arguments()
            .find(|arg| arg.get_long_and_visible_aliases().is_some_and(|names| names.contains(&name)))
            .is_none_or(|arg| !arg.is_require_equals_set())
    };
    let args = in_gnu_spelling(args, takes_value);
    let line = command
        .clone()
        .try_get_matches_from(args)
        .and_then(|matches| CommandLine::from_arg_matches(&matches))
        .map_err(|error| {
            let wanted = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            UsageError { text: error.to_string(), code: if wanted { 0 } else { 2 } }
        })?;
    line.check()
}

/// Doubles the dash of `-name`. A word behind a flag that takes a value is that value, whatever it looks
/// like. Flags end at the first other word, as in Go, and `-h` is `--help`.
fn in_gnu_spelling(
    args: impl IntoIterator<Item = OsString>,
    takes_value: impl Fn(&str) -> bool,
) -> Vec<OsString> {
    let mut args = args.into_iter();
    let mut out: Vec<OsString> = args.next().into_iter().collect();
    while let Some(arg) = args.next() {
        let Some(flag) = flag_of(&arg) else {
            out.push(arg);
            out.extend(args);
            break;
        };
        let flag = if flag == "h" { "help" } else { flag };
        let mut spelled = OsString::from(format!("--{flag}"));
        let value_follows = !flag.contains('=') && flag != "help" && takes_value(flag);
        if let Some(value) = value_follows.then(|| args.next()).flatten() {
            spelled.push("=");
            spelled.push(value);
        }
        out.push(spelled);
    }
    out
}

/// The flag without its dashes; nothing for any other word.
fn flag_of(arg: &OsStr) -> Option<&str> {
    let flag = arg.to_str()?.strip_prefix('-')?;
    let flag = flag.strip_prefix('-').unwrap_or(flag);
    Some(flag).filter(|flag| !flag.is_empty() && !flag.starts_with('-'))
}

/// A DNS cache for the pods of one node.
#[derive(Parser)]
#[command(
    name = "nodelocaldns",
    disable_version_flag = true,
    args_override_self = true,
    after_help = "Flags may be written with one dash, and with a blank instead of '='."
)]
struct CommandLine {
    /// Addresses to serve, separated by commas
    #[arg(long, value_name = "IPS", default_value = "", hide_default_value = true)]
    localip: String,
    /// Make the link and keep its addresses
    #[arg(long, value_parser = boolean, action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          value_name = "BOOL", default_value = "true", default_missing_value = "true")]
    setupinterface: bool,
    /// Name of the link
    #[arg(long, value_name = "NAME", default_value = "nodelocaldns")]
    interfacename: String,
    /// Install and keep packet filter rules
    #[arg(long, value_parser = boolean, action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          value_name = "BOOL", default_value = "true", default_missing_value = "true")]
    setupiptables: bool,
    /// Leave link and rules when ending
    #[arg(long, value_parser = boolean, action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          value_name = "BOOL", default_value = "false", default_missing_value = "true")]
    skipteardown: bool,
    /// Seconds between checks of link and rules; 60, 60s and node-cache's 60ns mean the same
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = sync_interval)]
    syncinterval: Duration,
    /// Template of the Corefile, used if it is there
    #[arg(long, value_name = "FILE", default_value = DEFAULT_BASE_COREFILE)]
    basecorefile: String,
    /// Corefile, if -conf is not given
    #[arg(long, value_name = "FILE", default_value = DEFAULT_COREFILE)]
    corefile: String,
    /// Corefile; stdin reads what is piped in
    #[arg(long, value_name = "FILE", default_value = "", hide_default_value = true)]
    conf: String,
    /// ConfigMap of kube-dns; not supported yet
    #[arg(long, value_name = "DIRECTORY", default_value = "", hide_default_value = true)]
    kubednscm: String,
    /// Service whose address is the cluster's DNS
    #[arg(long, value_name = "NAME", default_value = "kube-dns")]
    upstreamsvc: String,
    /// Second metrics endpoint; 0 for none
    #[arg(long = "metrics-listen-address", value_name = "ADDRESS", default_value = "0.0.0.0:9353")]
    metrics_listen_address: String,
    /// Metrics endpoint that templates ask for
    #[arg(long = "prometheus-listen-address", value_name = "ADDRESS", default_value = ":9253")]
    prometheus_listen_address: String,
    /// Port of the health endpoint, for packet filter rules
    #[arg(long = "health-port", value_name = "PORT", default_value = "8080")]
    health_port: u16,
    /// Reload on SIGUSR1 rather than by the reload directive
    #[arg(long, value_parser = boolean, action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          value_name = "BOOL", default_value = "false", default_missing_value = "true")]
    reloadwithsignal: bool,
    /// File for the process number
    #[arg(long, value_name = "FILE", default_value = "", hide_default_value = true)]
    pidfile: String,
    /// Port of server blocks that name none
    #[arg(long = "dns.port", visible_alias = "p", value_name = "PORT", default_value = "53",
          value_parser = clap::value_parser!(u16).range(1..))]
    dns_port: u16,
    /// No lines about zones at the start
    #[arg(long, value_parser = boolean, action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          value_name = "BOOL", default_value = "false", default_missing_value = "true")]
    quiet: bool,
    /// List the directives there are
    #[arg(long, value_parser = boolean, action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          value_name = "BOOL", default_value = "false", default_missing_value = "true")]
    plugins: bool,
    /// Show the version
    #[arg(long, value_parser = boolean, action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          value_name = "BOOL", default_value = "false", default_missing_value = "true")]
    version: bool,
    /// Kind of the link: dummy, bridge, ifb, or auto for dummy and, where the kernel lacks it, bridge
    #[arg(long = "link-kind", value_name = "KIND", default_value = "auto")]
    link_kind: String,
    /// Threads that serve [default: 2, or 1 on one core]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
    /// Memory for cached answers, in octets or with Ki, Mi or Gi [default: from the memory limit]
    #[arg(long = "cache-bytes", value_name = "OCTETS", value_parser = octets)]
    cache_bytes: Option<u64>,
    /// Directory of the node, used if it is there, in which a successor takes over from us; 0 for none
    #[arg(long = "handover-dir", value_name = "DIRECTORY", default_value = DEFAULT_HANDOVER_DIR)]
    handover_dir: String,
    /// Say by the exit code whether the instance of this container serves, for a startup probe
    #[arg(long, value_parser = boolean, action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          value_name = "BOOL", default_value = "false", default_missing_value = "true")]
    probe: bool,
}

impl CommandLine {
    fn check(self) -> Result<Flags, UsageError> {
        if self.version {
            let text = format!("nodelocaldns {}\n", env!("CARGO_PKG_VERSION"));
            return Err(UsageError { text, code: 0 });
        }
        if self.plugins {
            let names = SUPPORTED_DIRECTIVES.map(|name| format!("  dns.{name}\n")).concat();
            return Err(UsageError {
                text: format!("Server types:\n  dns\n\nOther plugins:\n{names}"),
                code: 0,
            });
        }
        if self.interfacename.is_empty() || self.interfacename.len() > 15 {
            let problem = "a link's name has 1 to 15 characters";
            return Err(wrong(&format!(
                "invalid value \"{}\" for -interfacename: {problem}",
                self.interfacename
            )));
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Flags {
            options: Options {
                local_ips: if self.probe { Vec::new() } else { local_ips(&self.localip)? },
                base_corefile: self.basecorefile,
                corefile: self.corefile,
                conf: self.conf,
                kube_dns_config_map: self.kubednscm,
                upstream_service: self.upstreamsvc,
                prometheus_listen_address: self.prometheus_listen_address,
                dns_port: self.dns_port,
            },
            setup_interface: self.setupinterface,
            interface_name: self.interfacename,
            setup_iptables: self.setupiptables,
            skip_teardown: self.skipteardown,
            sync_interval: self.syncinterval,
            metrics_listen_address: match self.metrics_listen_address.as_str() {
                "" | "0" => None,
                text => Some(parse_listen_address(text).map_err(|problem| {
                    wrong(&format!("invalid value \"{text}\" for -metrics-listen-address: {problem}"))
                })?),
            },
            health_port: self.health_port,
            reload_with_signal: self.reloadwithsignal,
            pid_file: Some(self.pidfile).filter(|path| !path.is_empty()).map(PathBuf::from),
            quiet: self.quiet,
            link_kind: self.link_kind,
            workers: self.workers.map_or_else(|| cores.min(2), usize::from),
            cache_bytes: self.cache_bytes,
            handover_dir: Some(self.handover_dir)
                .filter(|path| !path.is_empty() && path != "0")
                .map(PathBuf::from),
            probe: self.probe,
        })
    }
}

fn wrong(problem: &str) -> UsageError {
    UsageError { text: format!("{problem}\n"), code: 2 }
}

fn local_ips(text: &str) -> Result<Vec<IpAddr>, UsageError> {
    let mut ips = Vec::new();
    for word in text.split(',').map(str::trim) {
        let remedy = "give the addresses to serve, such as -localip 169.254.25.10,fd00::10";
        let ip =
            word.parse().map_err(|_| wrong(&format!("invalid localip specified - \"{word}\"; {remedy}")))?;
        if !ips.contains(&ip) {
            ips.push(ip);
        }
    }
    Ok(ips)
}

/// The words of Go's `strconv.ParseBool`.
fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("neither true nor false".to_owned()),
    }
}

/// node-cache multiplies a Go duration by one second, so that `60ns` is a minute there; whoever writes `60s`
/// or `60` means the same.
fn sync_interval(text: &str) -> Result<Duration, String> {
    let count = text.strip_suffix("ns").unwrap_or(text);
    let interval = match count.parse::<u64>() {
        Ok(seconds) => duration::parse(&format!("{seconds}s")),
        Err(_) => duration::parse(text),
    };
    let interval = interval.map_err(|error| error.to_string())?;
    if interval < Duration::from_secs(1) {
        return Err("shorter than a second".to_owned());
    }
    Ok(interval)
}

fn octets(text: &str) -> Result<u64, String> {
    let units = [("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30)];
    let (digits, unit) = units
        .into_iter()
        .find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, unit)))
        .unwrap_or((text, 1));
    let octets = digits.parse::<u64>().ok().and_then(|count| count.checked_mul(unit));
    octets.ok_or_else(|| "not a number of octets, such as 67108864 or 64Mi".to_owned())
}
