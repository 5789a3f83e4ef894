//! The note of a run: date, commit, machine, other load, versions.

use std::fs;
use std::process::Command;

use super::peers::Peer;
use crate::output::BenchError;

/// `DATE-load-COMMIT`, the name of the files of a run.
pub(super) fn run_name() -> Result<String, BenchError> {
    let date = first_line("date", &["+%F"])?;
    Ok(format!("{date}-load-{}", first_line("git", &["describe", "--always", "--dirty", "--exclude=*"])?))
}

pub(super) fn note(peers: &[Peer]) -> Result<String, BenchError> {
    let cpus = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let load = fs::read_to_string("/proc/loadavg")?;
    let mut note = format!(
        "{}\nMachine: {cores} cores of {}, {}kernel {}, load average after the run {}\nCommand: {}\n",
        run_name()?,
        model.map_or("an unknown processor", |(_, model)| model),
        if cpus.contains(" hypervisor") { "virtual, " } else { "" },
        kernel.trim(),
        load.split(' ').next().unwrap_or_default(),
        std::env::args().skip(1).fold("benches --".to_owned(), |command, argument| command + " " + &argument),
    );
    for peer in peers {
        if let Some(version) = peer.version() {
            note.push_str(&format!("{}: {}\n", peer.name(), version.trim()));
        }
    }
    Ok(note)
}

/// The first line that a command prints.
fn first_line(program: &str, arguments: &[&str]) -> Result<String, BenchError> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| BenchError(format!("{program}: {error}")))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next().map(str::to_owned);
    line.ok_or_else(|| BenchError(format!("{program}: {}", String::from_utf8_lossy(&output.stderr))))
}
