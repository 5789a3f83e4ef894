//! The watch over the files that list upstreams.
//!
//! What they list is read and compared again and again: no notice of the kernel covers a file written in place, one
//! renamed over it, a symbolic link on the way that leads elsewhere, and a file that is mounted alone and changes in
//! a directory we do not see. What differs is believed when it is found the same twice, because whoever writes in
//! place leaves an empty file, then half a file, for a moment.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tracing::{error, info, warn};

use super::FatalError;
use super::instance::Instance;
use crate::host::OsHost;
use corefile::settings::Listener;
use corefile::upstream_files::{self, Nameservers, UpstreamFiles};

/// The files that do not list what is obeyed.
#[derive(Debug, Default)]
pub(super) struct UpstreamFileWatch {
    differing: BTreeMap<PathBuf, Differing>,
}

#[derive(Debug)]
struct Differing {
    found: Result<Nameservers, String>,
    /// Found twice, and told or obeyed.
    believed: bool,
}

/// What is new since the last look.
#[derive(Debug, Default, PartialEq, Eq)]
struct News {
    /// Files that list other upstreams.
    changed: BTreeMap<PathBuf, Nameservers>,
    /// Files that list none any more, whole sentences.
    complaints: Vec<String>,
}

impl UpstreamFileWatch {
    /// Looks at the files, and has the upstreams they list taken into use: everything else stays as it is.
    pub(super) async fn look(&mut self, instance: &mut Instance<'_>) {
        let obeyed = &instance.settings.upstream_files;
        let news = self.news(obeyed, |path| upstream_files::read(path, &OsHost));
        for complaint in &news.complaints {
            warn!("plugin/forward: {complaint}");
        }
        if news.changed.is_empty() {
            return;
        }
        let mut files = obeyed.clone();
        for (path, found) in news.changed {
            if let Some(ours) = served_here(&found.addresses, &instance.settings.listeners) {
                let file = path.display();
                warn!(
                    "plugin/forward: {file} names {ours}, which is this cache: its upstreams stay as they were"
                );
                continue;
            }
            for remark in &found.warnings {
                warn!("plugin/forward: {remark}");
            }
            info!("plugin/forward: {} lists other upstreams: {}", path.display(), shown(&found.addresses));
            files.insert(path, found.addresses);
        }
        if files == *obeyed {
            return;
        }
        match take(files, instance).await {
            Ok(()) => info!("Reloading complete"),
            Err(reason) => {
                error!("plugin/forward: the upstreams stay as they were: {reason}");
                instance.context.process.reloads.failed.inc();
            }
        }
    }

    fn news(&mut self, obeyed: &UpstreamFiles, read: impl Fn(&Path) -> io::Result<Nameservers>) -> News {
        self.differing.retain(|path, _| obeyed.contains_key(path));
        let mut news = News::default();
        for (path, addresses) in obeyed {
            let found = read(path).map_err(|error| error.to_string());
            if found.as_ref().is_ok_and(|found| found.addresses == *addresses) {
                self.differing.remove(path);
                continue;
            }
            match self.differing.get_mut(path) {
                Some(differing) if differing.found == found => {
                    if !std::mem::replace(&mut differing.believed, true) {
                        news.add(path, found);
                    }
                }
                _ => {
                    self.differing.insert(path.clone(), Differing { found, believed: false });
                }
            }
        }
        news
    }
}

impl News {
    fn add(&mut self, path: &Path, found: Result<Nameservers, String>) {
        let file = path.display();
        match found {
            Ok(found) if found.addresses.is_empty() => {
                self.complaints.push(format!("{file} names no nameserver: its upstreams stay as they were"));
            }
            Ok(found) => {
                self.changed.insert(path.to_path_buf(), found);
            }
            Err(error) => {
                self.complaints.push(format!("cannot read {file}: {error}: its upstreams stay as they were"));
            }
        }
    }
}

/// Takes what files list into use, with the Corefile as it was read.
async fn take(files: UpstreamFiles, instance: &mut Instance<'_>) -> Result<(), FatalError> {
    let settings = instance
        .corefile
        .build_settings_with(files, &instance.context.flags.options, &OsHost)
        .map_err(FatalError::Config)?;
    instance.adopt(settings).await
}

/// An upstream that would have this cache ask itself.
fn served_here(upstreams: &[SocketAddr], listeners: &[Listener]) -> Option<SocketAddr> {
    let served: Vec<SocketAddr> = listeners.iter().flat_map(|one| one.addresses.iter().copied()).collect();
    let is_ours = |upstream: &&SocketAddr| {
        served.iter().any(|served| {
            let everywhere = served.ip().is_unspecified() && served.is_ipv4() == upstream.is_ipv4();
            let reaches = served.ip() == upstream.ip() || (everywhere && upstream.ip().is_loopback());
            reaches && served.port() == upstream.port()
        })
    };
    upstreams.iter().find(is_ours).copied()
}

fn shown(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "/etc/resolv.conf";

    fn listing(ip: &str) -> Nameservers {
        let addresses = ip.parse().map(|ip| SocketAddr::new(ip, 53)).into_iter().collect();
        Nameservers { addresses, warnings: Vec::new() }
    }

    fn obeyed(ip: &str) -> UpstreamFiles {
        [(PathBuf::from(FILE), listing(ip).addresses)].into_iter().collect()
    }

    fn changed(ip: &str) -> News {
        let changed = [(PathBuf::from(FILE), listing(ip))].into_iter().collect();
        News { changed, complaints: Vec::new() }
    }

    fn nothing() -> News {
        News::default()
    }

    fn complaint(text: &str) -> News {
        News { changed: BTreeMap::new(), complaints: vec![text.to_owned()] }
    }

    #[test]
    fn a_list_found_twice_is_believed_once() {
        let (mut watch, obeyed) = (UpstreamFileWatch::default(), obeyed("192.0.2.1"));
        let mut look = |ip: &str| watch.news(&obeyed, |_| Ok(listing(ip)));
        assert_eq!(look("192.0.2.1"), nothing());
        assert_eq!(look("192.0.2.2"), nothing(), "it may be half written");
        assert_eq!(look("192.0.2.3"), nothing());
        assert_eq!(look("192.0.2.3"), changed("192.0.2.3"));
        assert_eq!(look("192.0.2.3"), nothing(), "what could not be obeyed is not tried again");
        assert_eq!(look("192.0.2.1"), nothing());
        assert_eq!(look("192.0.2.3"), nothing());
        assert_eq!(look("192.0.2.3"), changed("192.0.2.3"));
    }

    #[test]
    fn a_file_that_lists_nothing_is_told_once_and_changes_nothing() {
        let (mut watch, obeyed) = (UpstreamFileWatch::default(), obeyed("192.0.2.1"));
        let gone = |_: &Path| Err(io::ErrorKind::NotFound.into());
        let empty = |_: &Path| Ok(Nameservers::default());
        assert_eq!(watch.news(&obeyed, gone), nothing());
        let told = "cannot read /etc/resolv.conf: entity not found: its upstreams stay as they were";
        assert_eq!(watch.news(&obeyed, gone), complaint(told));
        assert_eq!(watch.news(&obeyed, gone), nothing());
        assert_eq!(watch.news(&obeyed, empty), nothing());
        let told = "/etc/resolv.conf names no nameserver: its upstreams stay as they were";
        assert_eq!(watch.news(&obeyed, empty), complaint(told));
        assert_eq!(watch.news(&obeyed, empty), nothing());
        assert_eq!(watch.news(&obeyed, |_| Ok(listing("192.0.2.2"))), nothing());
        assert_eq!(watch.news(&obeyed, |_| Ok(listing("192.0.2.2"))), changed("192.0.2.2"));
    }

    #[test]
    fn a_file_that_listed_nothing_from_the_start_is_nothing_new() {
        let obeyed = [(PathBuf::from(FILE), Vec::new())].into_iter().collect();
        let mut watch = UpstreamFileWatch::default();
        for _ in 0..3 {
            assert_eq!(watch.news(&obeyed, |_| Ok(Nameservers::default())), nothing());
        }
    }

    /// At the start the `loop` directive finds out; a process that serves must not end for an edit of resolv.conf.
    #[test]
    fn a_file_that_names_this_cache_is_not_followed() {
        let listening = |address: &str| {
            let addresses = vec![address.parse().unwrap()];
            let (label, zones, timeouts) = (String::new(), Vec::new(), Default::default());
            vec![Listener { addresses, label, zones, timeouts }]
        };
        let found = [listing("192.0.2.1").addresses, listing("127.0.0.1").addresses].concat();
        let ours = |address| served_here(&found, &listening(address)).map(|ours| ours.to_string());
        assert_eq!(ours("192.0.2.1:53").as_deref(), Some("192.0.2.1:53"));
        assert_eq!(ours("0.0.0.0:53").as_deref(), Some("127.0.0.1:53"));
        for other in ["192.0.2.1:54", "192.0.2.2:53", "[::]:53", "0.0.0.0:54"] {
            assert_eq!(ours(other), None, "{other}");
        }
    }
}
