//! Content of files that directives name, which need not be read again.

use crate::hosts_files::HostsFiles;
use crate::upstream_files::UpstreamFiles;

/// Files whose content is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownFiles {
    /// Files of `forward` directives.
    pub upstreams: UpstreamFiles,
    /// Files of `hosts` directives.
    pub hosts: HostsFiles,
}
