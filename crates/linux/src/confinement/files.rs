//! Files that threads may reach (Landlock).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use landlock::{
    ABI, Access, AccessFs, BitFlags, PathFd, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr,
    RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

/// The newest version whose access rights are denied; a kernel with an older one denies those that it has.
const VERSION: ABI = ABI::V6;
/// A process can be read here whatever happens to the kernel's cache of these files.
const PROC: &str = "/proc/self";

static IS_IN_FORCE: AtomicBool = AtomicBool::new(false);

/// The files that a thread and its children may reach.
#[derive(Clone, Debug, Default)]
pub struct FileAccess {
    /// Files, and folders with all that is below them, that are read.
    pub read: Vec<PathBuf>,
    /// Folders in which files are read, written, created and removed.
    pub write: Vec<PathBuf>,
}

/// A restriction in force; to be kept for as long as files are opened.
#[derive(Debug)]
pub struct FileConfinement {
    /// A rule for a file of /proc is one for an inode, which lasts for as long as a descriptor of it.
    _pinned: Vec<PathFd>,
}

impl FileAccess {
    /// Restricts the calling thread, and those that it creates, to these files and those of /proc/self, to
    /// signals for itself, and to Unix sockets with a path. A file that does not exist yet cannot be
    /// reached later, unless its folder is listed. `None` where the kernel has no Landlock.
    ///
    /// # Errors
    ///
    /// The kernel rejects a rule, or has no resources.
    pub fn restrict(&self) -> io::Result<Option<FileConfinement>> {
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let of_proc = self.read.iter().filter(|path| path.starts_with("/proc"));
        let pinned = of_proc.map(PathBuf::as_path).chain([Path::new(PROC)]);
        let pinned = pinned.filter_map(|path| PathFd::new(path).ok()).collect();
        let status = ruleset(Scope::from_all(VERSION))
            .and_then(|ruleset| ruleset.add_rules(path_beneath_rules(&self.read, read)))
            .and_then(|ruleset| ruleset.add_rules(path_beneath_rules([PROC], read)))
            .and_then(|ruleset| ruleset.add_rules(path_beneath_rules(&self.write, written())))
            .and_then(RulesetCreated::restrict_self)
            .map_err(io::Error::other)?;
        let in_force = status.ruleset != RulesetStatus::NotEnforced;
        IS_IN_FORCE.fetch_or(in_force, Relaxed);
        Ok(in_force.then_some(FileConfinement { _pinned: pinned }))
    }
}

/// Whether a thread of the process has restricted itself to some files.
#[must_use]
pub fn is_confined_to_files() -> bool {
    IS_IN_FORCE.load(Relaxed)
}

/// Denies the calling thread all files, and signals to other processes unless it sends them. It opens no
/// file, so that a kernel without Landlock makes no difference to it.
pub(super) fn deny_all(signals_others: bool) {
    let scope = if signals_others { Scope::AbstractUnixSocket.into() } else { Scope::from_all(VERSION) };
    drop(ruleset(scope).and_then(RulesetCreated::restrict_self));
}

fn ruleset(scope: BitFlags<Scope>) -> Result<RulesetCreated, RulesetError> {
    Ruleset::default().handle_access(AccessFs::from_all(VERSION))?.scope(scope)?.create()
}

/// No programs, devices, pipes and links, and no files moved from other folders.
fn written() -> BitFlags<AccessFs> {
    AccessFs::ReadFile
        | AccessFs::ReadDir
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeSock
        | AccessFs::MakeDir
        | AccessFs::RemoveFile
}
