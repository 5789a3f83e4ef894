//! Counts the sockets that a process opens, by strace(1).

use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::output::BenchError;

/// Sockets per second that a process opens or accepts during `work`, which takes so many seconds;
/// `None` without strace.
pub(super) fn opened(
    process: u32,
    seconds: u64,
    work: impl FnOnce() -> Result<(), BenchError>,
) -> Result<Option<f64>, BenchError> {
    let Ok(strace) = attach(process) else {
        work()?;
        return Ok(None);
    };
    let worked = work();
    if let Ok(id) = strace.id().try_into() {
        kill(Pid::from_raw(id), Signal::SIGINT)?;
    }
    let output = strace.wait_with_output()?;
    worked?;
    let calls = String::from_utf8_lossy(&output.stderr);
    let opened = calls.lines().filter(|line| is_success(line)).count();
    Ok(Some(per_second(u64::try_from(opened).unwrap_or(u64::MAX), seconds)))
}

fn attach(process: u32) -> std::io::Result<Child> {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", "trace=socket,accept,accept4", "-p", &process.to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()
}

/// Whether a line shows a call that returned a descriptor.
fn is_success(line: &str) -> bool {
    let result = line.rsplit_once(") = ").map(|(_, result)| result);
    result.is_some_and(|result| result.starts_with(|first: char| first.is_ascii_digit()))
}

#[expect(clippy::cast_precision_loss, reason = "figures for people, far below 2^52")]
pub(super) fn per_second(count: u64, seconds: u64) -> f64 {
    count as f64 / seconds as f64
}

#[cfg(test)]
mod tests {
    use super::is_success;

    #[test]
    fn only_calls_that_return_a_descriptor_are_counted() {
        let prefix = "[pid 7] socket(AF_INET, SOCK_DGRAM|SOCK_CLOEXEC, IPPROTO_IP";
        assert!(is_success(&format!("{prefix}) = 9")));
        assert!(is_success("[pid 7] <... accept4 resumed>{sa_family=AF_INET}, [128 => 16], 0) = 12"));
        for line in ["accept4(8, 0x7, [128], 0) = -1 EAGAIN", "accept4(8,  <unfinished ...>", "strace: x"] {
            assert!(!is_success(line), "{line}");
        }
    }
}
