//! Snapshot file: written under a lock and renamed, read after checks of owner, mode and size.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use resolver::cache::{Cache, ImportSummary, ImportTarget, MAX_RECORD_LEN};
use resolver::policy::BlockId;
use sha2::{Digest, Sha256};

use super::format::{self, CHECKSUM_LEN, Header, MAX_HEADER_LEN};
use super::host_state::HostState;
use super::load_error::LoadError;

/// Name of the file.
pub(super) const NAME: &str = "cache.snapshot";

/// Name of the file while it is written; the writer holds a lock on it.
pub(super) const UNFINISHED: &str = "cache.snapshot.unfinished";

/// The files that snapshots leave in their directory.
pub(crate) const FILES: [&str; 2] = [NAME, UNFINISHED];

/// Octets of cache entries in a file, the most popular first: `/run` is memory charged to the pod.
pub(super) const MAX_ENTRIES_LEN: usize = 8 << 20;

/// Maximum age: names that are queried often have other data by then, or are queried again anyway.
pub(super) const MAX_AGE: Duration = Duration::from_secs(600);

/// Size of the write buffer in octets.
const BUFFER_LEN: usize = 2 * MAX_RECORD_LEN;

/// Permissions of the file.
pub(super) const MODE: u32 = 0o600;

/// Write permission for group and others.
const OTHERS_WRITE: u32 = 0o022;

/// The snapshot file of a directory.
#[derive(Clone, Debug)]
pub struct Snapshot {
    directory: PathBuf,
    /// Octets of cache entries in a file, at most [`MAX_ENTRIES_LEN`].
    max_entries_len: usize,
}

/// Size of a snapshot that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Cache entries.
    pub entries: u64,
    /// Entries left out because of the limit on its size.
    pub omitted: u64,
    /// Octets of the file.
    pub octets: u64,
}

/// Result of a snapshot that was imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Entries by their outcome.
    pub summary: ImportSummary,
    /// Time since they were written.
    pub age: Duration,
}

impl Snapshot {
    /// The snapshot of `directory`, which may not exist yet.
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), max_entries_len: MAX_ENTRIES_LEN }
    }

    /// Writes at most `octets` of cache entries.
    #[must_use]
    pub fn with_limit(self, octets: usize) -> Self {
        Self { max_entries_len: octets.min(MAX_ENTRIES_LEN), ..self }
    }

    /// Path of the file.
    pub fn path(&self) -> PathBuf {
        self.directory.join(NAME)
    }

    /// Writes the entries of `blocks`, which have a fingerprint, valid across processes, and an ID
    /// in this one. An existing file is replaced when all is written, or left as it is.
    ///
    /// # Errors
    /// Those of the file system, and [`io::ErrorKind::WouldBlock`] while another process writes.
    pub fn write(&self, cache: &Cache, blocks: &[(String, BlockId)]) -> io::Result<Written> {
        self.write_at(&HostState::now()?, cache, blocks)
    }

    pub(super) fn write_at(
        &self,
        host: &HostState,
        cache: &Cache,
        blocks: &[(String, BlockId)],
    ) -> io::Result<Written> {
        let path = self.directory.join(UNFINISHED);
        let file = create(&path)?;
        let written = write_to(&file, host, (cache, self.max_entries_len), blocks);
        let done = written.and_then(|written| fs::rename(&path, self.path()).map(|()| written));
        if done.is_err() {
            // The lock is held until `file` is closed; a file that cannot be removed is overwritten
            // next time.
            fs::remove_file(&path).ok();
        }
        done
    }

    /// Imports the entries of server blocks among `import_targets`, by fingerprint, into `cache`.
    /// Entries of other blocks belong to another configuration, and are skipped.
    ///
    /// # Errors
    /// Why nothing was imported.
    pub fn load(
        &self,
        cache: &Cache,
        import_targets: &HashMap<String, ImportTarget>,
    ) -> Result<Loaded, LoadError> {
        self.load_at(&HostState::now().map_err(LoadError::Unreadable)?, cache, import_targets)
    }

    pub(super) fn load_at(
        &self,
        host: &HostState,
        cache: &Cache,
        import_targets: &HashMap<String, ImportTarget>,
    ) -> Result<Loaded, LoadError> {
        let octets = self.read(host.uid)?;
        let (header, records) = Header::read(&octets)?;
        if header.boot_id != host.boot_id.as_bytes() {
            return Err(LoadError::OtherBoot);
        }
        let age = host.since_boot.checked_sub(header.since_boot).ok_or(LoadError::InFuture)?;
        if age > MAX_AGE {
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
        Ok(Loaded { summary: cache.import(host.now, age, records, &import_targets), age })
    }

    /// Removes the file, if there is one: after an orderly exit the next instance starts with an
    /// empty cache.
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
        // Opening a pipe without O_NONBLOCK blocks until it has a writer.
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let opened = OpenOptions::new().read(true).custom_flags(flags.bits()).open(self.path());
        let file = opened.map_err(|error| match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOENT) => LoadError::NotFound,
            Some(Errno::ELOOP) => LoadError::NotAFile,
            _ => LoadError::Unreadable(error),
        })?;
        let metadata = file.metadata().map_err(LoadError::Unreadable)?;
        let max_len = (MAX_ENTRIES_LEN + MAX_HEADER_LEN + CHECKSUM_LEN) as u64;
        if !metadata.is_file() {
            return Err(LoadError::NotAFile);
        }
        if metadata.uid() != uid {
            return Err(LoadError::Owner(metadata.uid()));
        }
        if metadata.mode() & OTHERS_WRITE != 0 {
            return Err(LoadError::Permissions(metadata.mode() & 0o7777));
        }
        if metadata.len() > max_len {
            return Err(LoadError::TooLarge(metadata.len()));
        }
        let mut octets = Vec::new();
        file.take(max_len).read_to_end(&mut octets).map_err(LoadError::Unreadable)?;
        Ok(octets)
    }
}

/// The server blocks of `import_targets`, for [`Snapshot::write`].
pub fn blocks(import_targets: &HashMap<String, ImportTarget>) -> Vec<(String, BlockId)> {
    import_targets.iter().map(|(fingerprint, target)| (fingerprint.clone(), target.block)).collect()
}

/// Creates the unfinished file, empty and locked. Its fixed name limits what crashes leave behind
/// to one file.
fn create(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(MODE).custom_flags(flags.bits());
    let file = options.open(path)?;
    file.try_lock()?;
    // Another process may have renamed it between open and lock.
    let (opened, named) = (file.metadata()?, fs::symlink_metadata(path)?);
    if (opened.dev(), opened.ino()) != (named.dev(), named.ino()) || !opened.is_file() {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    file.set_permissions(fs::Permissions::from_mode(MODE))?;
    file.set_len(0)?;
    Ok(file)
}

/// Writes header, entries and checksum.
fn write_to(
    mut file: &File,
    host: &HostState,
    (cache, max_entries_len): (&Cache, usize),
    blocks: &[(String, BlockId)],
) -> io::Result<Written> {
    let mut buffer = Vec::with_capacity(BUFFER_LEN);
    let numbers = format::write_header(host, blocks, &mut buffer);
    let mut export = cache.export(host.now, &numbers);
    let (mut checksum, mut written) = (Sha256::new(), Written { entries: 0, omitted: 0, octets: 0 });
    let mut remaining = max_entries_len;
    loop {
        checksum.update(&buffer);
        file.write_all(&buffer)?;
        written.octets += buffer.len() as u64;
        buffer.clear();
        let entries = export.write_records(BUFFER_LEN.min(remaining), &mut buffer);
        if entries == 0 {
            break;
        }
        remaining -= buffer.len();
        written.entries += entries as u64;
    }
    written.omitted = export.remaining() as u64;
    file.write_all(&checksum.finalize())?;
    written.octets += CHECKSUM_LEN as u64;
    Ok(written)
}
