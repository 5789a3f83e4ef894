//! Which core a process runs on, how long it has run, and when it ends.

use std::fs;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::Failed;

/// The cores of a run: one for servers, one for who asks. On a machine with one core they are the same.
#[derive(Clone, Copy)]
pub(crate) struct Cores {
    pub(crate) server: usize,
    pub(crate) load: usize,
}

impl Cores {
    /// The first and the last core this process may use.
    pub(crate) fn choose() -> Result<Self, Failed> {
        let allowed = sched_getaffinity(Pid::from_raw(0))?;
        let mut cores = (0..CpuSet::count()).filter(|&core| allowed.is_set(core).unwrap_or(false));
        let server = cores.next().ok_or_else(|| Failed("no core is allowed".to_owned()))?;
        Ok(Self { server, load: cores.next_back().unwrap_or(server) })
    }
}

/// Keeps this thread, and what it starts from now on, on `core`.
pub(crate) fn pin(core: usize) -> Result<(), Failed> {
    let mut set = CpuSet::new();
    set.set(core)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// Has this process killed when the one that started it is gone, however it went.
pub(crate) fn end_with_parent() -> Result<(), Failed> {
    Ok(prctl::set_pdeathsig(Signal::SIGKILL)?)
}

/// Nanoseconds that all threads of a process have run, in user and kernel mode (the first figure of `schedstat`).
pub(crate) fn time_ns(process: u32) -> Result<u64, Failed> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let line = fs::read_to_string(thread?.path().join("schedstat"))?;
        let ran = line.split(' ').next().and_then(|ran| ran.parse::<u64>().ok());
        sum += ran.ok_or_else(|| Failed(format!("schedstat of process {process} reads {line:?}")))?;
    }
    Ok(sum)
}
