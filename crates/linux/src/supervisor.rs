//! Supervision of a process that is the first of its PID namespace, as in a container: its parent ends
//! it when it hangs.
//!
//! A process that hangs cannot end itself when it is stopped, and the kernel ignores the signals, even
//! SIGKILL, that the first process of a PID namespace gets from a process or timer of that namespace.
//! So the program runs in a child process, which keeps a timer (timerfd) from expiring. The parent waits for
//! the timer and for signals, which it passes on, and is not woken otherwise.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, getpid, getppid};

use crate::confinement::{self, ThreadKind};
use crate::sys;

/// Signals that are passed on to the child.
const FORWARDED: [Signal; 6] =
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2];
/// The exit code of a child that a signal ended is this plus the signal's number, as in shells.
const SIGNALLED: u8 = 128;

/// In which process [`supervise`] returns.
#[derive(Debug)]
pub enum Supervised {
    /// In the child, which does the work.
    Child(WatchdogTimer),
    /// In the parent, when the child has ended.
    Parent(ChildEnd),
}

/// How the child ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ChildEnd {
    /// Its exit code, or 128 and the number of the signal that ended it.
    pub code: u8,
    /// The parent ended it, because the timer expired.
    pub hung: bool,
}

/// The timer that the child keeps from expiring.
#[derive(Debug)]
pub struct WatchdogTimer {
    timer: TimerFd,
    timeout: Duration,
}

impl WatchdogTimer {
    /// Has the parent end this process unless this is called again, or [`stop`](Self::stop), within the
    /// timeout.
    ///
    /// # Errors
    ///
    /// The error of `timerfd_settime`; the previous timeout remains.
    pub fn renew(&self) -> io::Result<()> {
        let expiration = Expiration::OneShot(TimeSpec::from_duration(self.timeout));
        Ok(self.timer.set(expiration, TimerSetTimeFlags::empty())?)
    }

    /// The parent waits without a timeout from now on.
    ///
    /// # Errors
    ///
    /// As [`renew`](Self::renew).
    pub fn stop(&self) -> io::Result<()> {
        Ok(self.timer.unset()?)
    }
}

/// Whether this process is the first of its PID namespace.
#[must_use]
pub fn is_first_process() -> bool {
    getpid().as_raw() == 1
}

/// Continues in a child process, which the parent ends when its [`WatchdogTimer`] expires; the parent
/// returns when the child has ended. The child ends with the parent. To be called before there are
/// threads.
///
/// # Errors
///
/// No process or no descriptor is available; the process that returns goes on without a parent that
/// ends it.
pub fn supervise(timeout: Duration) -> io::Result<Supervised> {
    let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
    let mut signals: SigSet = FORWARDED.into_iter().collect();
    signals.add(Signal::SIGCHLD);
    // Blocked before there is a child, so that none of its signals is lost.
    let previous = signals.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK)?;
    let parent = getpid();
    match sys::fork() {
        Err(error) => {
            previous.thread_set_mask()?;
            Err(error)
        }
        Ok(ForkResult::Child) => {
            previous.thread_set_mask()?;
            prctl::set_pdeathsig(Signal::SIGKILL)?;
            if getppid() != parent {
                return Err(io::Error::other("the parent process has ended"));
            }
            Ok(Supervised::Child(WatchdogTimer { timer, timeout }))
        }
        Ok(ForkResult::Parent { child }) => {
            confinement::enter(ThreadKind::Supervisor)?;
            Ok(Supervised::Parent(wait(child, &timer, &signals)?))
        }
    }
}

fn wait(child: Pid, timer: &TimerFd, signals: &SigSet) -> io::Result<ChildEnd> {
    let signals = SignalFd::with_flags(signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
    let mut hung = false;
    loop {
        let mut events =
            [PollFd::new(signals.as_fd(), PollFlags::POLLIN), PollFd::new(timer.as_fd(), PollFlags::POLLIN)];
        match poll(&mut events, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        while let Ok(Some(received)) = signals.read_signal() {
            let signal =
                i32::try_from(received.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok());
            if let Some(signal) = signal.filter(|signal| *signal != Signal::SIGCHLD) {
                // Fails when it has ended, which is noticed below.
                kill(child, signal).ok();
            }
        }
        if let Some(code) = reap(child) {
            return Ok(ChildEnd { code, hung });
        }
        if !hung && has_expired(timer) {
            hung = true;
            kill(child, Signal::SIGKILL).ok();
        }
    }
}

fn has_expired(timer: &TimerFd) -> bool {
    let mut expiries = [0; size_of::<u64>()];
    nix::unistd::read(timer, &mut expiries).is_ok()
}

/// Reaps every process that has ended: the first process of a PID namespace is the parent of orphans.
/// The exit code of the child when it has ended.
fn reap(child: Pid) -> Option<u8> {
    let mut code = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, status)) if pid == child => {
                code = Some(u8::try_from(status).unwrap_or(u8::MAX));
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => {
                let number = u8::try_from(signal as i32).unwrap_or_default();
                code = Some(SIGNALLED.saturating_add(number));
            }
            Ok(WaitStatus::StillAlive) | Err(_) => return code,
            Ok(_) => {}
        }
    }
}
