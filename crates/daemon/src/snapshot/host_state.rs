//! Boot, time and user under which a snapshot is written or read.

use std::time::{Duration, Instant};
use std::{fs, io};

use crate::clock;

#[derive(Clone, Debug)]
pub(super) struct HostState {
    pub(super) boot_id: String,
    pub(super) since_boot: Duration,
    pub(super) now: Instant,
    /// The effective user of the process.
    pub(super) uid: u32,
}

impl HostState {
    pub(super) fn now() -> io::Result<Self> {
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
        let uid = nix::unistd::geteuid().as_raw();
        Ok(Self { boot_id, since_boot: clock::since_boot()?, now: clock::now(), uid })
    }
}
