//! What directives refer to outside their own text.

use std::path::Path;

use crate::host::Host;
use crate::settings::ServerBlockKey;
use crate::tree::Directive;
use crate::upstream_files::UpstreamFiles;

/// Context of a server block's directives.
pub(crate) struct DirectiveContext<'a> {
    pub(crate) host: &'a dyn Host,
    /// The block's keys.
    pub(crate) keys: &'a [ServerBlockKey],
    /// CA certificates in place of the system's.
    pub(crate) ca_file: Option<&'a Path>,
    /// Upstream files read so far.
    pub(crate) upstream_files: &'a mut UpstreamFiles,
    pub(crate) warnings: &'a mut Vec<String>,
}

impl DirectiveContext<'_> {
    /// Warns that a directive is accepted, but has no effect, and why.
    pub(crate) fn warn_without_effect(&mut self, directive: &Directive, reason: &str) {
        let name = directive.name();
        self.warnings.push(format!("{} - {} has no effect: {reason}", name.location(), name.text));
    }
}
