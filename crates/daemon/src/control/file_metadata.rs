//! Metadata of watched files: a file whose metadata has not changed is not read again.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Reads after a change: one in place may be under way, and another one may fall into the same tick of
/// the kernel's clock, which counts at least 100 times a second.
const READS: u8 = 3;

/// Identity, size and times of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    len: u64,
    /// Time of modification: seconds since 1970, and nanoseconds.
    pub(super) modified: (i64, i64),
    /// Time of status change.
    changed: (i64, i64),
}

impl Stamp {
    /// Of a file, or of what a symbolic link leads to; `None` without one.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            len: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

/// Files and their metadata at the last reads.
#[derive(Debug, Default)]
pub(super) struct FileMetadata {
    read: BTreeMap<PathBuf, (Option<Stamp>, u8)>,
}

impl FileMetadata {
    /// True unless a file has been read several times with the metadata that it has. To be called no
    /// more than once a second and file; the caller reads it then.
    pub(super) fn needs_reading(&mut self, path: &Path) -> bool {
        let stamp = Stamp::of(path);
        let Some((last, reads)) = self.read.get_mut(path).filter(|(last, _)| *last == stamp) else {
            self.read.insert(path.to_path_buf(), (stamp, 1));
            return true;
        };
        *reads = reads.saturating_add(1);
        last.is_none() || *reads <= READS
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn reads(files: &mut FileMetadata, path: &Path) -> usize {
        (0..10).filter(|_| files.needs_reading(path)).count()
    }

    #[test]
    fn a_file_is_read_three_times_after_each_change() {
        let folder = std::env::temp_dir().join(format!("nodelocaldns-metadata-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let (file, link, second) = (folder.join("file"), folder.join("link"), folder.join("second"));
        let mut files = FileMetadata::default();
        fs::write(&file, "one").unwrap();
        symlink("file", &link).unwrap();
        assert_eq!(reads(&mut files, &link), 3);
        fs::write(&file, "other").unwrap();
        assert_eq!(reads(&mut files, &link), 3, "written in place");
        fs::write(&second, "other").unwrap();
        fs::rename(&second, &file).unwrap();
        assert_eq!(reads(&mut files, &link), 3, "replaced");
        fs::remove_file(&link).unwrap();
        assert_eq!(reads(&mut files, &link), 10, "a file that cannot be read is tried again");
        fs::write(&link, "other").unwrap();
        assert_eq!(reads(&mut files, &link), 3);
        fs::remove_dir_all(&folder).unwrap();
    }
}
