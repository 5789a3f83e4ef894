//! Confinement of the process: the threads with a capability are started, the control thread gives up all
//! of them, and then the files that are not needed.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use linux::binder::Binder;
use linux::confinement::{self, Confinement, FileAccess, FileConfinement, SeccompMode, ThreadKind};
use tracing::{error, info, warn};

use super::exit::FatalError;
use super::netlink_thread::{self, NetlinkThread};
use crate::flags::Flags;
use crate::metrics::Confined;
use crate::panics;

/// Read for as long as the process runs, whatever the configuration names: the boot ID in snapshots,
/// interface addresses, the time of boot for `process_start_time_seconds`.
const ALWAYS_READ: [&str; 3] = ["/proc/sys/kernel/random", "/proc/sys/net", "/proc/stat"];

/// Prepares the confinement; to be called before there are threads. The outcome of seccomp is for
/// [`report`].
pub(super) fn prepare(flags: &Flags) -> io::Result<()> {
    // In a static binary, the crate getrandom may not find getrandom(2) and opens /dev/urandom, once.
    let _first: u64 = rand::random();
    confinement::start(Confinement { seccomp: flags.seccomp, landlock: flags.landlock })?;
    if flags.seccomp != SeccompMode::Off {
        panics::report_in_one_line();
    }
    Ok(())
}

/// The threads that keep a capability.
pub(super) struct Privileged {
    pub(super) binder: Binder,
    pub(super) netlink: NetlinkThread,
}

impl Privileged {
    /// Starts them, and then confines the calling thread, which becomes the control thread.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub(super) fn start() -> Result<Self, FatalError> {
        let binder = Binder::start().map_err(FatalError::System)?;
        let netlink = netlink_thread::start().map_err(FatalError::System)?;
        // A failure is for `report`, as one of the other two threads.
        confinement::enter(ThreadKind::Control).ok();
        Ok(Self { binder, netlink })
    }
}

/// Logs what is not in force, and sets the gauges.
pub(super) fn report(flags: &Flags, seccomp: &io::Result<()>, gauges: &Confined) {
    let failure = confinement::first_failure();
    if let Some(failure) = failure {
        error!("not confined to what it needs: {failure}");
    }
    match seccomp {
        Err(error) => warn!("seccomp: not in force: {error}; threads are confined by capabilities only"),
        Ok(()) if flags.seccomp == SeccompMode::Log => {
            warn!("seccomp: violations are logged only (-seccomp-log)")
        }
        Ok(()) => {}
    }
    let in_force = seccomp.is_ok() && failure.is_none() && flags.seccomp == SeccompMode::Enforce;
    gauges.seccomp.set(u64::from(in_force));
}

/// Restricts the control thread, and those that it creates, to the folders of the files that the
/// configuration has read, and to the folders of the flags. To be kept while files are opened.
pub(super) fn restrict_files(
    flags: &Flags,
    read: &BTreeSet<PathBuf>,
    netlink: &NetlinkThread,
    gauges: &Confined,
) -> Option<FileConfinement> {
    if !flags.landlock {
        return None;
    }
    netlink.restrict_files();
    let confinement = file_access(flags, read).restrict();
    gauges.landlock.set(u64::from(matches!(confinement, Ok(Some(_)))));
    match confinement {
        Ok(Some(confinement)) => return Some(confinement),
        Ok(None) => info!("landlock: the kernel does not have it: all files can be reached"),
        Err(error) => warn!("landlock: not in force: {error}: all files can be reached"),
    }
    None
}

fn file_access(flags: &Flags, read: &BTreeSet<PathBuf>) -> FileAccess {
    let folders = read.iter().flat_map(|path| [Some(path.clone()), path.canonicalize().ok()]);
    let folders: BTreeSet<PathBuf> = folders.flatten().map(|path| folder(&path)).collect();
    let named = flags.landlock_read.iter().chain(&flags.cni_results_dir).cloned();
    let always = ALWAYS_READ.map(PathBuf::from);
    let pid_folder = flags.pid_file.as_deref().map(existing_folder);
    FileAccess {
        read: folders.into_iter().chain(named).chain(always).collect(),
        write: flags.handover_dir.iter().cloned().chain(pid_folder).collect(),
    }
}

/// The folder of a file, in which it may be replaced; the file itself where that would be all files.
fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent == Path::new("") => PathBuf::from("."),
        Some(parent) if parent != Path::new("/") => parent.to_owned(),
        _ => path.to_owned(),
    }
}

/// The folder of a file, or the nearest one that exists.
fn existing_folder(path: &Path) -> PathBuf {
    let mut folders = path.ancestors().skip(1);
    folders.find(|folder| folder.is_dir()).map_or_else(|| PathBuf::from("."), Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_a_file_may_be_read_but_not_all_files() {
        for (file, allowed) in [
            ("/etc/coredns/Corefile", "/etc/coredns"),
            ("/etc/kube-dns/*", "/etc/kube-dns"),
            ("/Corefile", "/Corefile"),
            ("Corefile", "."),
        ] {
            assert_eq!(folder(Path::new(file)), Path::new(allowed), "{file}");
        }
        assert_eq!(existing_folder(Path::new("/proc/absent/folder/pid")), Path::new("/proc"));
    }
}
