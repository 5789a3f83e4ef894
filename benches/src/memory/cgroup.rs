//! A cgroup with a memory limit for one process, version 2 or 1.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::output::BenchError;

const V2: &str = "/sys/fs/cgroup";
const V1: &str = "/sys/fs/cgroup/memory";

/// Attempts to remove the cgroup while its last process exits, and the pause between them.
const MAX_ATTEMPTS: usize = 100;
const PAUSE: Duration = Duration::from_millis(20);

/// Files of a version of the interface.
struct Interface {
    limit: &'static str,
    usage: &'static str,
    /// Has a line `oom_kill COUNT`.
    events: &'static str,
}

const INTERFACE_V2: Interface =
    Interface { limit: "memory.max", usage: "memory.current", events: "memory.events" };
const INTERFACE_V1: Interface = Interface {
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    events: "memory.oom_control",
};

/// Removed on drop; its process must have ended by then.
pub(super) struct Cgroup {
    path: PathBuf,
    interface: &'static Interface,
}

impl Cgroup {
    /// Creates a cgroup with a limit in octets; needs root.
    pub(super) fn create(limit: u64) -> Result<Self, BenchError> {
        let is_v1 = Path::new(V1).join(INTERFACE_V1.limit).exists();
        let (root, interface) = if is_v1 { (V1, &INTERFACE_V1) } else { (V2, &INTERFACE_V2) };
        if !is_v1 {
            // Fails when the controller is enabled already, or cannot be; then the limit is missing.
            fs::write(Path::new(V2).join("cgroup.subtree_control"), "+memory").ok();
        }
        let path = Path::new(root).join(format!("nodelocaldns-benches-{}", std::process::id()));
        fs::create_dir(&path).map_err(|error| BenchError(format!("{}: {error}", path.display())))?;
        let cgroup = Self { path, interface };
        fs::write(cgroup.path.join(interface.limit), limit.to_string())
            .map_err(|error| BenchError(format!("the memory limit: {error}")))?;
        Ok(cgroup)
    }

    /// The file that takes the process ID of a member.
    pub(super) fn procs(&self) -> PathBuf {
        self.path.join("cgroup.procs")
    }

    /// Octets charged to the cgroup: memory of its process, page cache, and with version 2 buffers
    /// of sockets.
    pub(super) fn usage(&self) -> Result<u64, BenchError> {
        let text = fs::read_to_string(self.path.join(self.interface.usage))?;
        text.trim().parse().map_err(|_| BenchError(format!("memory usage reads {text:?}")))
    }

    /// Processes killed for lack of memory.
    pub(super) fn oom_kills(&self) -> Result<u64, BenchError> {
        let text = fs::read_to_string(self.path.join(self.interface.events))?;
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok());
        count.ok_or_else(|| BenchError(format!("the events of the cgroup read {text:?}")))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for _ in 0..MAX_ATTEMPTS {
            if fs::remove_dir(&self.path).is_ok() {
                return;
            }
            std::thread::sleep(PAUSE);
        }
    }
}
