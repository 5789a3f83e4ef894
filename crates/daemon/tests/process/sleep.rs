//! `nodelocaldns sleep`.

use std::fs;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::fixture::{WAIT_LIMIT, wait_until};

fn sleep(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodelocaldns"));
    command.arg("sleep").args(args);
    command
}

#[test]
fn a_sleep_ends_after_its_time() {
    assert_eq!(sleep(&["0"]).status().unwrap().code(), Some(0));
}

/// The first process of a container has no default action for SIGTERM.
#[test]
fn a_sleep_handles_sigterm_and_ends() {
    let mut sleeping = sleep(&["3600"]).spawn().unwrap();
    let pid = Pid::from_raw(i32::try_from(sleeping.id()).unwrap());
    let handles_sigterm = || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:\t")).unwrap().to_owned();
        let bit = 1_u64 << (Signal::SIGTERM as i32 - 1);
        u64::from_str_radix(&caught, 16).unwrap() & bit != 0
    };
    assert!(wait_until(WAIT_LIMIT, handles_sigterm));
    kill(pid, Signal::SIGTERM).unwrap();
    assert_eq!(sleeping.wait().unwrap().code(), Some(0));
}

#[test]
fn wrong_command_lines_of_sleep_exit_with_2_and_the_help_with_0() {
    for wrong in [&[][..], &["soon"], &["1", "2"], &["86400"]] {
        let output = sleep(wrong).output().unwrap();
        let reason = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.code() == Some(2) && reason.contains("nodelocaldns sleep SECONDS"),
            "{wrong:?}: {reason}"
        );
    }
    let output = sleep(&["-help"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8(output.stdout).unwrap().contains("Usage: nodelocaldns sleep SECONDS"));
}
