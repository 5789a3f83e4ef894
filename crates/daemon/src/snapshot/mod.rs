//! What the cache holds, in a file, for a process that starts after another one of the same machine has crashed.
//!
//! The file is written to memory (`/run`) every few seconds and replaced whole. Who reads it believes nothing: it is
//! ours and nobody else may write it, its checksum is right, it is of this boot and a few minutes old at most, and each
//! answer in it is looked at again as if it came from an upstream.

mod format;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use resolver::cache::{Cache, ImportSummary, ImportTarget, MAX_RECORD_LEN};
use resolver::policy::BlockId;
use sha2::{Digest, Sha256};

use self::format::{CHECKSUM, Header, MOST_HEADER};
pub use self::writer::{FinalWrite, INTERVAL, SnapshotWriter};
use crate::clock;

/// The name of the file.
const NAME: &str = "cache.snapshot";

/// The name of the file while it is being written. One process at a time has its lock.
const UNFINISHED: &str = "cache.snapshot.unfinished";

/// Octets of entries in a file, most wanted first: `/run` is memory, and charged to the pod.
const MOST_OCTETS: usize = 8 << 20;

/// A file older than this is of no use: what is asked for often has changed since, or has been asked again.
const MOST_AGE: Duration = Duration::from_secs(600);

/// Octets that are collected before they are written.
const PIECE: usize = 2 * MAX_RECORD_LEN;

/// Permissions of the file.
const MODE: u32 = 0o600;

/// Permission to write for others than the owner.
const OTHERS_WRITE: u32 = 0o022;

/// The snapshot file of a directory.
#[derive(Clone, Debug)]
pub struct Snapshot {
    directory: PathBuf,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Cache entries.
    pub entries: u64,
    /// Octets of the file.
    pub octets: u64,
}

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// What became of the entries.
    pub summary: ImportSummary,
    /// How long ago they were written.
    pub age: Duration,
}

/// Why a snapshot is not used.
#[derive(Debug)]
pub enum LoadError {
    /// There is none.
    NotFound,
    /// It cannot be read.
    Unreadable(io::Error),
    /// It is a link, a directory or some other thing.
    NotAFile,
    /// It belongs to another user, with this number.
    Owner(u32),
    /// Others may write it; these are its permissions.
    Permissions(u32),
    /// It has too many octets.
    TooLarge(u64),
    /// It is not a snapshot, or one of another version.
    UnknownFormat,
    /// Its checksum is wrong.
    ChecksumMismatch,
    /// The machine has been started since.
    OtherBoot,
    /// It was written this long ago.
    TooOld(Duration),
    /// It was written later than now.
    InFuture,
}

impl std::fmt::Display for LoadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotFound => f.write_str("there is none"),
            Self::Unreadable(error) => write!(f, "it cannot be read: {error}"),
            Self::NotAFile => f.write_str("it is not a regular file"),
            Self::Owner(uid) => write!(f, "it belongs to user {uid}"),
            Self::Permissions(mode) => write!(f, "others may write it: its mode is {mode:04o}"),
            Self::TooLarge(octets) => write!(f, "it has {octets} octets, more than a snapshot can have"),
            Self::UnknownFormat => f.write_str("it is not a snapshot of this version"),
            Self::ChecksumMismatch => f.write_str("its checksum is wrong"),
            Self::OtherBoot => f.write_str("it is from before the machine was started"),
            Self::TooOld(age) => write!(f, "it is {} s old", age.as_secs()),
            Self::InFuture => f.write_str("it was written later than now"),
        }
    }
}

impl std::error::Error for LoadError {}

/// Who writes or reads a file, and when.
#[derive(Clone, Debug)]
struct HostState {
    boot_id: String,
    since_boot: Duration,
    now: Instant,
    uid: u32,
}

impl HostState {
    fn now() -> io::Result<Self> {
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
        let uid = nix::unistd::geteuid().as_raw();
        Ok(Self { boot_id, since_boot: clock::since_boot()?, now: clock::now(), uid })
    }
}

impl Snapshot {
    /// The one in `directory`, which need not have one yet.
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.directory.join(NAME)
    }

    /// Writes what the blocks hold: their fingerprints, which mean the same to another process, and their numbers host.
    /// A file that is there is replaced at the end, or stays as it is.
    ///
    /// # Errors
    /// Those of the file system, and [`io::ErrorKind::WouldBlock`] while another process writes.
    pub fn write(&self, cache: &Cache, blocks: &[(String, BlockId)]) -> io::Result<Written> {
        self.write_at(&HostState::now()?, cache, blocks)
    }

    fn write_at(&self, host: &HostState, cache: &Cache, blocks: &[(String, BlockId)]) -> io::Result<Written> {
        let path = self.directory.join(UNFINISHED);
        let file = begin(&path)?;
        let written = fill(&file, host, cache, blocks);
        let done = written.and_then(|written| fs::rename(&path, self.path()).map(|()| written));
        if done.is_err() {
            // It is ours alone as long as `file` is open; what cannot be removed is written over next time.
            fs::remove_file(&path).unwrap_or_default();
        }
        done
    }

    /// Takes into `cache` what the file has for the blocks in `import_targets`, by their fingerprints. Entries of other blocks
    /// belong to another configuration, and are dropped.
    ///
    /// # Errors
    /// Why nothing was taken.
    pub fn load(
        &self,
        cache: &Cache,
        import_targets: &HashMap<String, ImportTarget>,
    ) -> Result<Loaded, LoadError> {
        self.load_at(&HostState::now().map_err(LoadError::Unreadable)?, cache, import_targets)
    }

    fn load_at(
        &self,
        host: &HostState,
        cache: &Cache,
        import_targets: &HashMap<String, ImportTarget>,
    ) -> Result<Loaded, LoadError> {
        let octets = self.read(host.uid)?;
        let (header, parcels) = Header::read(&octets)?;
        if header.boot_id != host.boot_id.as_bytes() {
            return Err(LoadError::OtherBoot);
        }
        let age = host.since_boot.checked_sub(header.since_boot).ok_or(LoadError::InFuture)?;
        if age > MOST_AGE {
            return Err(LoadError::TooOld(age));
        }
        let import_targets: HashMap<_, _> = import_targets
            .iter()
            .map(|(fingerprint, target)| (format::digest(fingerprint), target))
            .collect();
        let import_targets: Vec<Option<ImportTarget>> = header
            .blocks()
            .map(|digest| import_targets.get(digest).map(|target| (*target).clone()))
            .collect();
        Ok(Loaded { summary: cache.import(host.now, age, parcels, &import_targets), age })
    }

    /// Removes the file, if there is one: whoever starts after a clean end begins with an empty cache.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn remove(&self) -> io::Result<()> {
        match fs::remove_file(self.path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn read(&self, uid: u32) -> Result<Vec<u8>, LoadError> {
        // Whoever opens a pipe without O_NONBLOCK waits for somebody to write to it.
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let opened = OpenOptions::new().read(true).custom_flags(flags.bits()).open(self.path());
        let file = opened.map_err(|error| match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOENT) => LoadError::NotFound,
            Some(Errno::ELOOP) => LoadError::NotAFile,
            _ => LoadError::Unreadable(error),
        })?;
        let metadata = file.metadata().map_err(LoadError::Unreadable)?;
        let most = (MOST_OCTETS + MOST_HEADER + CHECKSUM) as u64;
        if !metadata.is_file() {
            return Err(LoadError::NotAFile);
        }
        if metadata.uid() != uid {
            return Err(LoadError::Owner(metadata.uid()));
        }
        if metadata.mode() & OTHERS_WRITE != 0 {
            return Err(LoadError::Permissions(metadata.mode() & 0o7777));
        }
        if metadata.len() > most {
            return Err(LoadError::TooLarge(metadata.len()));
        }
        let mut octets = Vec::new();
        file.take(most).read_to_end(&mut octets).map_err(LoadError::Unreadable)?;
        Ok(octets)
    }
}

/// The blocks of `import_targets` as [`Snapshot::write`] wants them.
pub fn blocks(import_targets: &HashMap<String, ImportTarget>) -> Vec<(String, BlockId)> {
    import_targets.iter().map(|(fingerprint, target)| (fingerprint.clone(), target.block)).collect()
}

/// Opens the unfinished file, empty, with its lock. A fixed name leaves one file at most behind, however often a process
/// dies while it writes.
fn begin(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(MODE).custom_flags(flags.bits());
    let file = options.open(path)?;
    file.try_lock()?;
    // Another process may have finished it since it was opened: then the name is another file's, or nobody's.
    let (ours, named) = (file.metadata()?, fs::symlink_metadata(path)?);
    if (ours.dev(), ours.ino()) != (named.dev(), named.ino()) || !ours.is_file() {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    file.set_permissions(fs::Permissions::from_mode(MODE))?;
    file.set_len(0)?;
    Ok(file)
}

/// Writes the header, the entries piece by piece, and the checksum.
fn fill(
    mut file: &File,
    host: &HostState,
    cache: &Cache,
    blocks: &[(String, BlockId)],
) -> io::Result<Written> {
    let mut piece = Vec::with_capacity(PIECE);
    let numbers = format::write_header(host, blocks, &mut piece);
    let mut export = cache.export(host.now, &numbers);
    let (mut checksum, mut written) = (Sha256::new(), Written { entries: 0, octets: 0 });
    let mut left = MOST_OCTETS;
    loop {
        checksum.update(&piece);
        file.write_all(&piece)?;
        written.octets += piece.len() as u64;
        piece.clear();
        let entries = export.write_records(PIECE.min(left), &mut piece);
        if entries == 0 {
            break;
        }
        left -= piece.len();
        written.entries += entries as u64;
    }
    file.write_all(&checksum.finalize())?;
    written.octets += CHECKSUM as u64;
    Ok(written)
}
