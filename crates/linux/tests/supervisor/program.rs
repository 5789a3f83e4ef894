//! The supervised program, one task per test.

use std::io::{BufRead, stdin};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use linux::confinement::{Confinement, SeccompMode, start};
use linux::supervisor::{ChildEnd, Supervised, WatchdogTimer, supervise};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, raise};
use nix::unistd::getpid;

/// Of tasks that hang.
const SHORT: Duration = Duration::from_millis(200);
/// Of other tasks: longer than a test.
pub(crate) const LONG: Duration = Duration::from_secs(600);

pub(crate) fn run(task: &str) -> ExitCode {
    let timeout = if task == "hang" { SHORT } else { LONG };
    match task {
        "threads" => {
            thread::Builder::new().spawn(thread::park).unwrap();
        }
        // Orphans become its children, as those of the first process of a PID namespace.
        "orphan" => prctl::set_child_subreaper(true).unwrap(),
        _ => {}
    }
    // The parent is confined as in the daemon; the child, which is not, executes programs in some tasks.
    start(Confinement { seccomp: SeccompMode::Enforce, landlock: true }).unwrap();
    match supervise(timeout) {
        Ok(Supervised::Child(timer)) => run_child(task, &timer),
        Ok(Supervised::Parent(ChildEnd { code, hung })) => {
            println!("code {code}, hung {hung}");
            ExitCode::from(code)
        }
        Err(error) => {
            println!("not supervised: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run_child(task: &str, timer: &WatchdogTimer) -> ExitCode {
    match task {
        "exit" => return ExitCode::from(7),
        "signalled" => raise(Signal::SIGTERM).unwrap(),
        "signals" => return report_signals(),
        "hang" => {
            timer.renew().unwrap();
            println!("hangs");
            raise(Signal::SIGSTOP).unwrap();
        }
        "timer" => change_timer(timer),
        "orphan" => return leave_orphan(),
        "wait" => {
            println!("child {}", getpid());
            await_line();
        }
        _ => panic!("no task {task}"),
    }
    ExitCode::SUCCESS
}

/// Reports each signal by its name, and ends with SIGTERM.
fn report_signals() -> ExitCode {
    use Signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
    let signals: SigSet = [SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2].into_iter().collect();
    signals.thread_block().unwrap();
    println!("ready");
    loop {
        let signal = signals.wait().unwrap();
        println!("{signal}");
        if signal == SIGTERM {
            return ExitCode::from(3);
        }
    }
}

fn change_timer(timer: &WatchdogTimer) {
    println!("not renewed");
    await_line();
    timer.renew().unwrap();
    println!("renewed");
    await_line();
    timer.stop().unwrap();
    println!("stopped");
    await_line();
}

/// Starts a process that outlives its parent, and ends when the test closes the standard input.
fn leave_orphan() -> ExitCode {
    let script = "exec 3<&0; cat <&3 >/dev/null & echo $!";
    let output = Command::new("sh")
        .args(["-c", script])
        .stdin(Stdio::inherit())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    println!("orphan {}", String::from_utf8(output.stdout).unwrap().trim());
    report_signals()
}

fn await_line() {
    stdin().lock().read_line(&mut String::new()).unwrap();
}
