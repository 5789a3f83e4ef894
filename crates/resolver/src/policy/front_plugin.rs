//! Directives that answer queries themselves in front of the cache.

use std::sync::Arc;

use super::acl::AclRule;

/// A directive of a server block that answers queries in front of its cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrontPlugin {
    /// `local`: localhost, names below it, and the reverse names of loopback addresses.
    Local {
        /// Names with localhost as first label are answered too.
        localhost_prefix: bool,
    },
    /// All `acl` directives, in the order of the file.
    Acl(Arc<[AclRule]>),
    /// `any`: an HINFO record to queries of type ANY (RFC 8482).
    Any,
    /// `chaos`: texts about the server, in class CH.
    Chaos(Arc<Chaos>),
}

/// What the `chaos` directive says about the server; each text has at most 255 octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chaos {
    /// For `version.bind.` and `version.server.`.
    pub version: Arc<[u8]>,
    /// For `authors.bind.`, one record each.
    pub authors: Vec<Arc<[u8]>>,
    /// For `hostname.bind.` and `id.server.`.
    pub host_name: Arc<[u8]>,
}
