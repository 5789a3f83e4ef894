//! Content of files that directives name, which need not be read again.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::upstream_files::UpstreamFiles;

/// Files, each with its content; nothing for one that cannot be read.
pub type FileContents = BTreeMap<PathBuf, Option<Arc<[u8]>>>;

/// Files that have been read, with their content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownFiles {
    /// Files of `forward` directives.
    pub upstreams: UpstreamFiles,
    /// Files of `hosts` and `loadbalance weighted` directives.
    pub contents: FileContents,
}
