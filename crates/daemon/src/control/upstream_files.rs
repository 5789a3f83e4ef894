//! Watch over files that list upstreams (`forward . /etc/resolv.conf`).
//!
//! Their metadata is read and compared periodically: no kernel notification covers a file written in
//! place, one renamed over it, a symbolic link on the path that changes, and a bind-mounted file
//! that changes in a directory outside the container. A difference counts when it is read twice in
//! a row: a writer in place leaves an empty or partial file for a moment.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use corefile::settings::Listener;
use corefile::upstream_files::{self, Nameservers, UpstreamFiles};
use tracing::{info, warn};

use super::file_metadata::FileMetadata;
use crate::host::OsHost;

#[derive(Debug, Default)]
pub(super) struct UpstreamFileWatch {
    /// Files that do not list the upstreams in force.
    differing: BTreeMap<PathBuf, Difference>,
    metadata: FileMetadata,
}

#[derive(Debug)]
struct Difference {
    found: Result<Nameservers, String>,
    /// Read twice, and reported.
    reported: bool,
}

/// What has changed since the last check.
#[derive(Debug, Default, PartialEq, Eq)]
struct Changes {
    /// Files that list other upstreams.
    changed: BTreeMap<PathBuf, Nameservers>,
    /// About files that have become unreadable or list no upstream any more.
    warnings: Vec<String>,
}

impl UpstreamFileWatch {
    /// Reads the files that may have changed. Returns the upstreams of every file if they differ from those `in_force`.
    pub(super) fn check(
        &mut self,
        in_force: &UpstreamFiles,
        listeners: &[Listener],
    ) -> Option<UpstreamFiles> {
        let due = in_force.iter().filter(|(path, _)| self.metadata.needs_reading(path));
        let due: UpstreamFiles = due.map(|(path, addresses)| (path.clone(), addresses.clone())).collect();
        if due.is_empty() {
            return None;
        }
        let changes = self.changes(&due, |path| upstream_files::read(path, &OsHost::default()));
        for warning in &changes.warnings {
            warn!("plugin/forward: {warning}");
        }
        let mut files = in_force.clone();
        for (path, found) in changes.changed {
            if let Some((line, own)) = own_address(&found, listeners) {
                warn!(
                    "plugin/forward: {}:{line} names {own}, which is this cache: its upstreams stay as they were",
                    path.display()
                );
                continue;
            }
            for warning in &found.warnings {
                warn!("plugin/forward: {warning}");
            }
            info!("plugin/forward: {} lists other upstreams: {}", path.display(), joined(&found.addresses));
            files.insert(path, found.addresses);
        }
        (files != *in_force).then_some(files)
    }

    fn changes(
        &mut self,
        in_force: &UpstreamFiles,
        read: impl Fn(&Path) -> io::Result<Nameservers>,
    ) -> Changes {
        self.differing.retain(|path, _| in_force.contains_key(path));
        let mut changes = Changes::default();
        for (path, addresses) in in_force {
            let found = read(path).map_err(|error| error.to_string());
            if found.as_ref().is_ok_and(|found| found.addresses == *addresses) {
                self.differing.remove(path);
                continue;
            }
            match self.differing.get_mut(path) {
                Some(difference) if difference.found == found => {
                    if !std::mem::replace(&mut difference.reported, true) {
                        changes.add(path, found);
                    }
                }
                _ => {
                    self.differing.insert(path.clone(), Difference { found, reported: false });
                }
            }
        }
        changes
    }
}

impl Changes {
    fn add(&mut self, path: &Path, found: Result<Nameservers, String>) {
        let file = path.display();
        match found {
            Ok(found) if found.addresses.is_empty() => {
                self.warnings.push(format!("{file} names no nameserver: its upstreams stay as they were"));
            }
            Ok(found) => {
                self.changed.insert(path.to_path_buf(), found);
            }
            Err(error) => {
                self.warnings.push(format!("cannot read {file}: {error}: its upstreams stay as they were"));
            }
        }
    }
}

/// An upstream that is one of our listeners, which would make a forwarding loop, and its line.
fn own_address(found: &Nameservers, listeners: &[Listener]) -> Option<(usize, SocketAddr)> {
    let served: Vec<SocketAddr> =
        listeners.iter().flat_map(|listener| listener.addresses.iter().copied()).collect();
    let is_own = |(_, upstream): &(usize, SocketAddr)| {
        served.iter().any(|served| {
            let any = served.ip().is_unspecified() && served.is_ipv4() == upstream.is_ipv4();
            let is_same = served.ip() == upstream.ip() && scope(*served) == scope(*upstream);
            let reaches = is_same || (any && upstream.ip().is_loopback());
            reaches && served.port() == upstream.port()
        })
    };
    found.lines.iter().copied().zip(found.addresses.iter().copied()).find(is_own)
}

/// The interface of a link-local address; addresses of two interfaces may be equal.
fn scope(address: SocketAddr) -> u32 {
    match address {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(v6) => v6.scope_id(),
    }
}

fn joined(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "/etc/resolv.conf";

    fn listing(ip: &str) -> Nameservers {
        let addresses = ip.parse().map(|ip| SocketAddr::new(ip, 53)).into_iter().collect();
        Nameservers { addresses, lines: vec![1], warnings: Vec::new() }
    }

    fn in_force(ip: &str) -> UpstreamFiles {
        [(PathBuf::from(FILE), listing(ip).addresses)].into_iter().collect()
    }

    fn changed(ip: &str) -> Changes {
        let changed = [(PathBuf::from(FILE), listing(ip))].into_iter().collect();
        Changes { changed, warnings: Vec::new() }
    }

    fn no_changes() -> Changes {
        Changes::default()
    }

    fn warning(text: &str) -> Changes {
        Changes { changed: BTreeMap::new(), warnings: vec![text.to_owned()] }
    }

    #[test]
    fn a_change_counts_once_when_read_twice() {
        let (mut watch, in_force) = (UpstreamFileWatch::default(), in_force("192.0.2.1"));
        let mut look = |ip: &str| watch.changes(&in_force, |_| Ok(listing(ip)));
        assert_eq!(look("192.0.2.1"), no_changes());
        assert_eq!(look("192.0.2.2"), no_changes(), "it may be half written");
        assert_eq!(look("192.0.2.3"), no_changes());
        assert_eq!(look("192.0.2.3"), changed("192.0.2.3"));
        assert_eq!(look("192.0.2.3"), no_changes(), "a change that could not be applied is not tried again");
        assert_eq!(look("192.0.2.1"), no_changes());
        assert_eq!(look("192.0.2.3"), no_changes());
        assert_eq!(look("192.0.2.3"), changed("192.0.2.3"));
    }

    #[test]
    fn an_unusable_file_is_logged_once_and_changes_nothing() {
        let (mut watch, in_force) = (UpstreamFileWatch::default(), in_force("192.0.2.1"));
        let gone = |_: &Path| Err(io::ErrorKind::NotFound.into());
        let empty = |_: &Path| Ok(Nameservers::default());
        assert_eq!(watch.changes(&in_force, gone), no_changes());
        let logged = "cannot read /etc/resolv.conf: entity not found: its upstreams stay as they were";
        assert_eq!(watch.changes(&in_force, gone), warning(logged));
        assert_eq!(watch.changes(&in_force, gone), no_changes());
        assert_eq!(watch.changes(&in_force, empty), no_changes());
        let logged = "/etc/resolv.conf names no nameserver: its upstreams stay as they were";
        assert_eq!(watch.changes(&in_force, empty), warning(logged));
        assert_eq!(watch.changes(&in_force, empty), no_changes());
        assert_eq!(watch.changes(&in_force, |_| Ok(listing("192.0.2.2"))), no_changes());
        assert_eq!(watch.changes(&in_force, |_| Ok(listing("192.0.2.2"))), changed("192.0.2.2"));
    }

    #[test]
    fn a_file_empty_from_the_start_is_no_change() {
        let in_force = [(PathBuf::from(FILE), Vec::new())].into_iter().collect();
        let mut watch = UpstreamFileWatch::default();
        for _ in 0..3 {
            assert_eq!(watch.changes(&in_force, |_| Ok(Nameservers::default())), no_changes());
        }
    }

    /// At start-up the `loop` directive detects it; an edit of resolv.conf must not end a running
    /// process.
    #[test]
    fn a_file_that_lists_an_own_listener_is_ignored() {
        let listening = |address: &str| {
            let addresses = vec![address.parse().unwrap()];
            let (label, location, zones) = (String::new(), String::new(), Vec::new());
            vec![Listener { addresses, label, location, zones, timeouts: Default::default() }]
        };
        let listed = |addresses: &[&str]| {
            let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
            Nameservers { addresses, lines: vec![2, 5], warnings: Vec::new() }
        };
        let found = listed(&["192.0.2.1:53", "127.0.0.1:53"]);
        let own = |address| own_address(&found, &listening(address));
        assert_eq!(own("192.0.2.1:53"), Some((2, found.addresses[0])));
        assert_eq!(own("0.0.0.0:53"), Some((5, found.addresses[1])));
        for other in ["192.0.2.1:54", "192.0.2.2:53", "[::]:53", "0.0.0.0:54"] {
            assert_eq!(own(other), None, "{other}");
        }
        let link_local = listed(&["[fe80::1%2]:53"]);
        assert_eq!(
            own_address(&link_local, &listening("[fe80::1%2]:53")),
            Some((2, link_local.addresses[0]))
        );
        assert_eq!(own_address(&link_local, &listening("[fe80::1%3]:53")), None);
    }
}
