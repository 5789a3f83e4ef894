//! Watch over hosts files and weight files (`hosts FILE`, `loadbalance weighted FILE`): read again when
//! they are another file, or their size or time of modification has changed.
//!
//! A change counts when two checks, a second apart, find the same: a writer in place leaves an empty
//! or partial file for a moment.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use corefile::{FileContents, Settings};
use resolver::counters::Gauge;
use tracing::{info, warn};

use super::file_metadata::Stamp;
use crate::host;

const HOSTS: &str = "hosts";
const WEIGHTS: &str = "loadbalance";

/// The content of a file; nothing for one that cannot be read.
type Content = Option<Arc<[u8]>>;

/// Nothing for a file that does not exist.
type Status = Option<Stamp>;

#[derive(Debug, Default)]
pub(super) struct FileContentWatch {
    files: BTreeMap<PathBuf, WatchedFile>,
}

#[derive(Debug, Default)]
struct WatchedFile {
    /// None: at the next round.
    next: Option<Instant>,
    /// The status when the content in force was read.
    known: Option<(Status, Content)>,
    /// Another status, found by the last check.
    found: Option<Status>,
}

impl FileContentWatch {
    /// Checks the files that are due. Returns the content of every file if it differs from that in
    /// force; `modified` is set to the time of modification of a hosts file that has been read.
    pub(super) fn check(
        &mut self,
        now: Instant,
        settings: &Settings,
        modified: &Gauge,
    ) -> Option<FileContents> {
        let in_force = &settings.files.contents;
        self.files.retain(|path, _| in_force.contains_key(path));
        let mut contents = in_force.clone();
        for (path, Checked { plugin, interval }) in checked(settings) {
            let Some(content) = contents.get_mut(&path) else { continue };
            let watched = self.files.entry(path.clone()).or_default();
            if watched.next.is_some_and(|next| now < next) {
                continue;
            }
            let status = Stamp::of(&path);
            if !watched.must_be_read(status, content, (now, interval)) {
                continue;
            }
            let read = host::read_file(&path).map(Arc::from);
            if let Some(status) = status.filter(|_| read.is_ok() && plugin == HOSTS) {
                modified.set(modified_nanos(status));
            }
            watched.apply((plugin, &path), read, content);
        }
        (contents != *in_force).then_some(contents)
    }
}

impl WatchedFile {
    /// True when the file may have another content than that in force; the next check is set.
    fn must_be_read(
        &mut self,
        status: Status,
        in_force: &Content,
        (now, interval): (Instant, Duration),
    ) -> bool {
        let is_known = self.known.as_ref().is_some_and(|known| *known == (status, in_force.clone()));
        let is_settled = is_known || self.found == Some(status);
        self.found = Some(status);
        self.next = is_settled.then(|| now + interval);
        if !is_known && is_settled {
            self.known = Some((status, in_force.clone()));
        }
        !is_known && is_settled
    }

    /// Takes what has been read for the content in force, unless it is unreadable.
    fn apply(&mut self, (plugin, path): (&str, &Path), read: io::Result<Arc<[u8]>>, content: &mut Content) {
        let file = path.display();
        match read {
            Ok(read) if content.as_deref() == Some(&*read) => {}
            Ok(read) => {
                info!("plugin/{plugin}: {file} has changed");
                *content = Some(read);
            }
            Err(error) if content.is_some() => {
                warn!("plugin/{plugin}: cannot read {file}: {error}: its entries stay as they were");
            }
            Err(_) => {}
        }
        if let Some((_, known)) = &mut self.known {
            known.clone_from(content);
        }
    }
}

/// How a file is checked.
struct Checked {
    /// The directive that names it.
    plugin: &'static str,
    interval: Duration,
}

/// The files to check, with the shortest `reload` of each.
fn checked(settings: &Settings) -> BTreeMap<PathBuf, Checked> {
    let hosts = settings.blocks.iter().filter_map(|block| block.hosts.as_ref());
    let hosts = hosts.map(|file| (&file.path, HOSTS, file.reload));
    let weights = settings.blocks.iter().filter_map(|block| block.weight_file.as_ref());
    let weights = weights.map(|file| (&file.path, WEIGHTS, file.reload));
    let mut checked = BTreeMap::new();
    for (path, plugin, reload) in hosts.chain(weights).filter(|(_, _, reload)| !reload.is_zero()) {
        let file = checked.entry(path.clone()).or_insert(Checked { plugin, interval: reload });
        file.interval = reload.min(file.interval);
    }
    checked
}

/// Nanoseconds since 1970.
fn modified_nanos(stamp: Stamp) -> u64 {
    let (seconds, nanos) = stamp.modified;
    let nanoseconds = u64::try_from(seconds).ok().and_then(|seconds| seconds.checked_mul(1_000_000_000));
    nanoseconds.unwrap_or(0).saturating_add(u64::try_from(nanos).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(5);

    fn content(text: &str) -> Content {
        Some(Arc::from(text.as_bytes()))
    }

    #[test]
    fn a_file_is_read_once_when_its_status_has_settled() {
        let (mut watched, start) = (WatchedFile::default(), crate::clock::now());
        let mut in_force = content("a");
        let [one, two] = ["/dev/null", "/"].map(|path| Stamp::of(Path::new(path)));
        let mut look = |status, in_force: &Content| {
            let read = watched.must_be_read(status, in_force, (start, INTERVAL));
            (read, watched.next == Some(start + INTERVAL))
        };
        assert_eq!(look(one, &in_force), (false, false), "it may have changed since it was loaded");
        assert_eq!(look(one, &in_force), (true, true));
        assert_eq!(look(one, &in_force), (false, true));
        assert_eq!(look(two, &in_force), (false, false), "it may be half written");
        assert_eq!(look(one, &in_force), (false, true));
        assert_eq!(look(two, &in_force), (false, false));
        assert_eq!(look(two, &in_force), (true, true));
        assert_eq!(look(None, &in_force), (false, false));
        assert_eq!(look(None, &in_force), (true, true));
        assert_eq!(look(None, &in_force), (false, true));
        in_force = content("b");
        assert_eq!(look(None, &in_force), (true, true), "a reload has read it");
        assert_eq!(look(None, &in_force), (false, true));
    }

    #[test]
    fn an_unreadable_file_keeps_its_entries() {
        let (mut watched, mut in_force) = (WatchedFile::default(), content("a"));
        watched.apply((HOSTS, Path::new("/hosts")), Err(io::ErrorKind::NotFound.into()), &mut in_force);
        assert_eq!(in_force, content("a"));
        watched.apply((HOSTS, Path::new("/hosts")), Ok(Arc::from(&b"b"[..])), &mut in_force);
        assert_eq!(in_force, content("b"));
    }
}
