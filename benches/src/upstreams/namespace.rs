//! A network namespace of this process: loopback, the upstream's address, and packet-filter rules.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, unshare};

use crate::output::BenchError;

/// The upstream's address in the namespace (RFC 2544).
pub(super) const UPSTREAM: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 53);
pub(super) const PORT: u16 = 53;

/// The table of all rules.
const TABLE: &str = "inet upstreams";

/// Moves this process to a new network namespace, with the upstream's address on loopback. No other
/// thread may run yet: threads and processes started later are in the namespace, earlier ones are
/// not.
pub(crate) fn enter() -> Result<SocketAddr, BenchError> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(|error| BenchError(format!("network namespace: {error}")))?;
    run("ip", &["link", "set", "lo", "up"], "")?;
    run("ip", &["address", "add", &format!("{UPSTREAM}/32"), "dev", "lo"], "")?;
    Ok((UPSTREAM, PORT).into())
}

/// Replaces the rules of the namespace by those of one chain. Packets are dropped on receipt only:
/// the sender of a packet that is dropped on output gets an error (EPERM).
pub(super) fn set_rules(rules: &[String]) -> Result<(), BenchError> {
    let rules = rules.join("\n");
    let chain = format!("chain input {{\n type filter hook input priority 0;\n {rules}\n }}");
    run(
        "nft",
        &["-f", "-"],
        &format!("table {TABLE} {{}}\ndelete table {TABLE}\ntable {TABLE} {{\n {chain}\n}}\n"),
    )
}

/// The rules that apply `verdict` to packets from and to the upstream.
pub(super) fn upstream_rules(verdict: &str) -> Vec<String> {
    [("daddr", "dport"), ("saddr", "sport")]
        .map(|(addr, port)| format!("ip {addr} {UPSTREAM} th {port} {PORT} {verdict}"))
        .to_vec()
}

/// Runs a program with `input` as its standard input.
pub(crate) fn run(program: &str, args: &[&str], input: &str) -> Result<(), BenchError> {
    let failed = |reason: String| BenchError(format!("{program} {}: {reason}", args.join(" ")));
    let spawned = Command::new(program).args(args).stdin(Stdio::piped()).spawn();
    let mut process = spawned.map_err(|error| failed(error.to_string()))?;
    if let Some(mut stdin) = process.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let status = process.wait()?;
    if status.success() { Ok(()) } else { Err(failed(status.to_string())) }
}
