//! A supervised program as a test sees it: its output, its end, its processes.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The argument by which this program runs as the supervised program.
pub(crate) const RUN_AS_PROGRAM: &str = "--supervised";

/// Until a test fails: ample on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(2);

/// The supervised program; killed when dropped.
pub(crate) struct Program {
    parent: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Program {
    pub(crate) fn start(task: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([RUN_AS_PROGRAM, task]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut parent = command.spawn().unwrap();
        let stdout = BufReader::new(parent.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::Builder::new()
            .spawn(move || {
                for line in stdout.lines() {
                    // The test has ended.
                    sender.send(line.unwrap()).ok();
                }
            })
            .unwrap();
        Self { stdin: parent.stdin.take(), parent, lines }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.parent.id().try_into().unwrap())
    }

    /// The next line that parent or child prints.
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(DEADLINE).unwrap()
    }

    /// Has the child go on that waits for a line.
    pub(crate) fn go_on(&mut self) {
        self.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    pub(crate) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// The exit code of the parent; it ends by itself.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        let mut status = None;
        eventually("the end of the program", || {
            status = self.parent.try_wait().unwrap();
            status.is_some()
        });
        status.and_then(|status| status.code())
    }

    /// Until the watchdog of the program expires; zero while it is stopped.
    pub(crate) fn remaining(&self) -> Duration {
        let directory = format!("/proc/{}/fdinfo", self.pid());
        let timers: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .filter_map(|entry| remaining(&fs::read_to_string(entry.unwrap().path()).unwrap()))
            .collect();
        assert_eq!(timers.len(), 1, "one timer");
        timers.into_iter().sum()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended.
        self.parent.kill().ok();
        self.parent.wait().ok();
    }
}

/// The remaining time in the fdinfo of a timerfd, `it_value: (SECONDS, NANOSECONDS)`.
fn remaining(fdinfo: &str) -> Option<Duration> {
    let value = fdinfo.lines().find_map(|line| line.strip_prefix("it_value: ("))?;
    let (seconds, nanoseconds) = value.strip_suffix(')')?.split_once(", ")?;
    Some(Duration::new(seconds.parse().unwrap(), nanoseconds.parse().unwrap()))
}

/// The state of a process and the PID of its parent; none if there is no such process, not even
/// one that was not reaped.
pub(crate) fn state_and_parent(pid: Pid) -> Option<(char, Pid)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program may contain spaces.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((state, Pid::from_raw(fields.next()?.parse().ok()?)))
}

/// The PID in a line such as `child 4711`.
pub(crate) fn pid_in(line: &str, word: &str) -> Pid {
    let pid = line.strip_prefix(word).and_then(|rest| rest.trim().parse().ok());
    Pid::from_raw(pid.unwrap_or_else(|| panic!("no PID in {line}")))
}

/// Waits until the condition is true.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..DEADLINE.as_millis() / POLL.as_millis() {
        if condition() {
            return;
        }
        thread::park_timeout(POLL);
    }
    panic!("timed out: {what}");
}
