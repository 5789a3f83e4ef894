//! CPU affinity and CPU time of processes.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use crate::output::BenchError;

/// The cores of a run: one for the servers, one for the load generator; equal on a machine with one
/// core.
#[derive(Clone, Copy)]
pub(crate) struct Cores {
    pub(crate) server: usize,
    pub(crate) load: usize,
}

impl Cores {
    /// The first and the last allowed core.
    pub(crate) fn choose() -> Result<Self, BenchError> {
        let allowed = allowed()?;
        let mut cores = (0..CpuSet::count()).filter(|&core| allowed.is_set(core).unwrap_or(false));
        let server = cores.next().ok_or_else(|| BenchError("no core is allowed".to_owned()))?;
        Ok(Self { server, load: cores.next_back().unwrap_or(server) })
    }
}

/// Pins this thread, and threads and processes that it starts later, to `core`.
pub(crate) fn pin(core: usize) -> Result<(), BenchError> {
    let mut set = CpuSet::new();
    set.set(core)?;
    allow(&set)
}

/// The cores that this thread may use.
pub(crate) fn allowed() -> Result<CpuSet, BenchError> {
    Ok(sched_getaffinity(Pid::from_raw(0))?)
}

/// Lets this thread, and threads and processes that it starts later, use these cores.
pub(crate) fn allow(cores: &CpuSet) -> Result<(), BenchError> {
    Ok(sched_setaffinity(Pid::from_raw(0), cores)?)
}

/// Kills this process when its parent dies (PR_SET_PDEATHSIG).
pub(crate) fn die_with_parent() -> Result<(), BenchError> {
    Ok(prctl::set_pdeathsig(Signal::SIGKILL)?)
}

/// CPU time of all threads of a process in nanoseconds, user and kernel mode.
pub(crate) fn time_ns(process: u32) -> Result<u64, BenchError> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        sum += thread_time_ns(&thread?.path())?;
    }
    Ok(sum)
}

/// How often a thread of a process has slept and was woken again.
pub(crate) fn wakeups(process: u32) -> Result<u64, BenchError> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let status = fs::read_to_string(thread?.path().join("status"))?;
        let switches = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        let switches = switches.and_then(|count| count.trim().parse::<u64>().ok());
        sum += switches.ok_or_else(|| BenchError(format!("no voluntary_ctxt_switches of {process}")))?;
    }
    Ok(sum)
}

/// CPU time of the calling thread.
pub(crate) fn own_time() -> Result<Duration, BenchError> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

/// CPU time of the threads of this process whose name begins with `name`, in nanoseconds.
pub(crate) fn named_time_ns(name: &str) -> Result<u64, BenchError> {
    let mut sum = 0;
    for thread in fs::read_dir("/proc/self/task")? {
        let thread = thread?.path();
        if fs::read_to_string(thread.join("comm"))?.starts_with(name) {
            sum += thread_time_ns(&thread)?;
        }
    }
    Ok(sum)
}

/// The first field of a thread's `schedstat`.
fn thread_time_ns(thread: &Path) -> Result<u64, BenchError> {
    let line = fs::read_to_string(thread.join("schedstat"))?;
    let run_time = line.split(' ').next().and_then(|field| field.parse().ok());
    run_time.ok_or_else(|| BenchError(format!("schedstat of {} reads {line:?}", thread.display())))
}
