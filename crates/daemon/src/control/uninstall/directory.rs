//! The files of the hand-over and of cache snapshots, and their directory.

use std::fs;
use std::io;
use std::path::Path;

use super::report::{Item, Outcome};
use crate::{handover, snapshot};

/// Removes the files, and the directory if nothing else is in it.
pub(super) fn remove(path: &Path) -> Item {
    Item { subject: format!("hand-over directory {}", path.display()), outcome: remove_files(path) }
}

fn remove_files(path: &Path) -> Outcome {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Outcome::Absent,
        Err(error) => return Outcome::failed(&error),
        Ok(found) if !found.is_dir() => return Outcome::Kept("not a directory".to_owned()),
        Ok(_) => {}
    }
    let mut removed = Vec::new();
    for name in handover::FILES.into_iter().chain(snapshot::FILES) {
        match fs::remove_file(path.join(name)) {
            Ok(()) => removed.push(name),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Outcome::failed(&format!("{name}: {error}")),
        }
    }
    let files = removed.join(", ");
    match (fs::remove_dir(path), removed.is_empty()) {
        (Ok(()), true) => Outcome::Removed(None),
        (Ok(()), false) => Outcome::Removed(Some(files)),
        // It is a mount point, or has files of others.
        (Err(error), true) => Outcome::Kept(format!("without files of ours: {error}")),
        (Err(error), false) => Outcome::Kept(format!("{files} removed: {error}")),
    }
}
