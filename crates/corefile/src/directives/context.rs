//! What directives refer to outside their own text.

use std::path::Path;

use wire::name::Name;

use crate::error::ConfigError;
use crate::host::Host;
use crate::known_files::KnownFiles;
use crate::settings::ServerBlockKey;
use crate::token::Token;
use crate::tree::Directive;
use crate::zones::parse_all_zones;

/// The name of the node, as gethostname(2) returns it.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// Name of a node without one, as in CoreDNS.
const DEFAULT_HOST_NAME: &str = "localhost";

/// Context of a server block's directives.
pub(crate) struct DirectiveContext<'a> {
    pub(crate) host: &'a dyn Host,
    /// The block's keys.
    pub(crate) keys: &'a [ServerBlockKey],
    /// CA certificates in place of the system's.
    pub(crate) ca_file: Option<&'a Path>,
    /// Files read so far.
    pub(crate) files: &'a mut KnownFiles,
    pub(crate) warnings: &'a mut Vec<String>,
}

impl DirectiveContext<'_> {
    /// The name of the node.
    pub(crate) fn host_name(&self) -> String {
        let octets = self.host.read_file(Path::new(HOST_NAME)).unwrap_or_default();
        match String::from_utf8_lossy(&octets).trim() {
            "" => DEFAULT_HOST_NAME.to_owned(),
            name => name.to_owned(),
        }
    }

    /// The zones that a directive names, by default those of the block.
    pub(crate) fn zones(&self, words: &[Token]) -> Result<Vec<Name>, ConfigError> {
        if words.is_empty() {
            return Ok(self.keys.iter().map(|key| key.zone.clone()).collect());
        }
        parse_all_zones(words)
    }

    /// Warns that a directive is accepted, but has no effect, and why.
    pub(crate) fn warn_without_effect(&mut self, directive: &Directive, reason: &str) {
        let name = directive.name();
        self.warnings.push(format!("{} - {} has no effect: {reason}", name.location(), name.text));
    }
}
