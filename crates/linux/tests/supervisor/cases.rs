//! The tests.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::fixture::{Program, eventually, pid_in, state_and_parent};
use crate::program::LONG;

/// The tests with their names.
pub(crate) const ALL: [(&str, fn()); 8] = [
    ("the_exit_code_is_that_of_the_child", the_exit_code_is_that_of_the_child),
    (
        "the_exit_code_is_that_of_the_signal_that_ends_the_child",
        the_exit_code_is_that_of_the_signal_that_ends_the_child,
    ),
    ("signals_are_passed_on", signals_are_passed_on),
    ("a_child_that_hangs_is_killed", a_child_that_hangs_is_killed),
    (
        "the_timer_runs_from_its_first_renewal_until_it_is_stopped",
        the_timer_runs_from_its_first_renewal_until_it_is_stopped,
    ),
    ("orphans_are_reaped", orphans_are_reaped),
    ("the_child_ends_with_its_parent", the_child_ends_with_its_parent),
    ("a_process_with_several_threads_is_not_supervised", a_process_with_several_threads_is_not_supervised),
];

fn the_exit_code_is_that_of_the_child() {
    let mut program = Program::start("exit");
    assert_eq!(program.line(), "code 7, hung false");
    assert_eq!(program.exit_code(), Some(7));
}

fn the_exit_code_is_that_of_the_signal_that_ends_the_child() {
    let mut program = Program::start("signalled");
    assert_eq!(program.line(), "code 143, hung false");
    assert_eq!(program.exit_code(), Some(143));
}

fn signals_are_passed_on() {
    use Signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
    let mut program = Program::start("signals");
    assert_eq!(program.line(), "ready");
    for signal in [SIGUSR1, SIGUSR2, SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
        program.signal(signal);
        assert_eq!(program.line(), signal.as_str());
    }
    assert_eq!(program.line(), "code 3, hung false");
    assert_eq!(program.exit_code(), Some(3));
}

fn a_child_that_hangs_is_killed() {
    let mut program = Program::start("hang");
    assert_eq!(program.line(), "hangs");
    assert_eq!(program.line(), "code 137, hung true");
    assert_eq!(program.exit_code(), Some(137));
}

fn the_timer_runs_from_its_first_renewal_until_it_is_stopped() {
    let mut program = Program::start("timer");
    assert_eq!(program.line(), "not renewed");
    assert_eq!(program.remaining(), Duration::ZERO);
    program.go_on();
    assert_eq!(program.line(), "renewed");
    let remaining = program.remaining();
    assert!(remaining > LONG / 2 && remaining <= LONG, "{remaining:?}");
    program.go_on();
    assert_eq!(program.line(), "stopped");
    assert_eq!(program.remaining(), Duration::ZERO);
    program.go_on();
    assert_eq!(program.line(), "code 0, hung false");
    assert_eq!(program.exit_code(), Some(0));
}

/// And are not mistaken for the child.
fn orphans_are_reaped() {
    let mut program = Program::start("orphan");
    let orphan = pid_in(&program.line(), "orphan ");
    assert_eq!(program.line(), "ready");
    assert_eq!(state_and_parent(orphan).unwrap().1, program.pid(), "its parent has ended");
    program.close_stdin();
    eventually("the orphan is reaped", || state_and_parent(orphan).is_none());
    program.signal(Signal::SIGTERM);
    assert_eq!(program.line(), "SIGTERM");
    assert_eq!(program.line(), "code 3, hung false");
    assert_eq!(program.exit_code(), Some(3));
}

fn the_child_ends_with_its_parent() {
    let mut program = Program::start("wait");
    let child = pid_in(&program.line(), "child ");
    program.signal(Signal::SIGKILL);
    assert_eq!(program.exit_code(), None, "a signal has ended it");
    // The first process of the system may not reap it.
    eventually("the end of the child", || state_and_parent(child).is_none_or(|(state, _)| state == 'Z'));
}

fn a_process_with_several_threads_is_not_supervised() {
    let mut program = Program::start("threads");
    assert_eq!(program.line(), "not supervised: a process with several threads is not duplicated");
    assert_eq!(program.exit_code(), Some(1));
}
