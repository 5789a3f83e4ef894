//! What directives refer to outside their own text.

use crate::host::Host;
use crate::settings::ServerBlockKey;
use crate::upstream_files::UpstreamFiles;

/// Context of a server block's directives.
pub(crate) struct DirectiveContext<'a> {
    pub(crate) host: &'a dyn Host,
    /// The block's keys.
    pub(crate) keys: &'a [ServerBlockKey],
    /// Upstream files read so far.
    pub(crate) upstream_files: &'a mut UpstreamFiles,
    pub(crate) warnings: &'a mut Vec<String>,
}
