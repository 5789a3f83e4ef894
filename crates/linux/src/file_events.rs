//! File events (inotify): files that are written, replaced, or created later.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

/// Watches the directories of files.
///
/// An event only means that a file may have changed: reading it finds out. Not every change causes
/// one: a bind-mounted file may change in a directory outside the container, and a symbolic link
/// may change in a directory that is neither the file's nor its target's.
///
/// Closing it takes the kernel 10 to 20 ms. When a process is killed, the kernel closes descriptors
/// from the highest to the lowest, so sockets that are to close at once have higher ones than this.
#[derive(Debug)]
pub struct FileMonitor {
    inotify: Inotify,
    watched: RefCell<BTreeMap<PathBuf, WatchDescriptor>>,
}

impl FileMonitor {
    /// A monitor without files.
    ///
    /// # Errors
    /// The user has too many inotify instances, or the process too many descriptors.
    pub fn new() -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        Ok(Self { inotify, watched: RefCell::default() })
    }

    /// Watches these files instead of those before, which may not exist yet: for each its directory,
    /// or the nearest one above it that exists, and the directory that its symbolic links lead to.
    ///
    /// True if one of these directories was not watched before: there was no event if a file in it has
    /// changed since it was read.
    pub fn watch(&self, files: &BTreeSet<PathBuf>) -> bool {
        let mut is_new = false;
        let wanted: BTreeSet<PathBuf> = files.iter().flat_map(|file| directories(file)).collect();
        let mut watched = self.watched.borrow_mut();
        let unwanted = watched.extract_if(.., |directory, _| !wanted.contains(directory));
        for (_, descriptor) in unwanted {
            // Fails for a directory that has been removed, and its watch with it.
            self.inotify.rm_watch(descriptor).ok();
        }
        for directory in wanted {
            // Always added: a directory of the same name may be another one. One that cannot be
            // watched is left to polling.
            if let Ok(descriptor) = self.inotify.add_watch(&directory, events()) {
                is_new |= watched.insert(directory, descriptor) != Some(descriptor);
            }
        }
        is_new
    }

    /// Whether there were events since the last call, about the files or others in their
    /// directories. Does not wait.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        let mut changed = false;
        // Each call reads what fits its buffer; the last one fails.
        while let Ok(events) = self.inotify.read_events() {
            // IN_IGNORED: a watch has been removed, perhaps by us.
            changed |= events.iter().any(|event| !event.mask.contains(AddWatchFlags::IN_IGNORED));
        }
        changed
    }
}

/// Not IN_MODIFY: a file that is being written is incomplete.
fn events() -> AddWatchFlags {
    AddWatchFlags::IN_CLOSE_WRITE
        | AddWatchFlags::IN_MOVE
        | AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_DELETE_SELF
        | AddWatchFlags::IN_MOVE_SELF
        | AddWatchFlags::IN_ONLYDIR
}

fn directories(file: &Path) -> impl Iterator<Item = PathBuf> {
    let nearest = file.ancestors().skip(1).find(|directory| directory.is_dir()).map(Path::to_path_buf);
    let target = file.canonicalize().ok().and_then(|target| target.parent().map(Path::to_path_buf));
    nearest.into_iter().chain(target)
}
