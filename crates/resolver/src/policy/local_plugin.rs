//! Directives that answer queries themselves, without an upstream.

use std::sync::Arc;

use super::hosts::Hosts;
use super::template::Template;

/// A directive of a server block that answers queries itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalPlugin {
    /// `hosts`: addresses of names and names of addresses, from a file and the Corefile.
    Hosts(Arc<Hosts>),
    /// `template`: records written with the words of the query.
    Template(Arc<Template>),
    /// `whoami`: no answer; address and port of the client as additional records.
    Whoami,
}

impl LocalPlugin {
    /// True for a directive behind `forward` in CoreDNS's chain: it gets the names that no `forward`
    /// matches.
    pub(crate) fn follows_forward(&self) -> bool {
        match self {
            Self::Template(_) | Self::Hosts(_) => false,
            Self::Whoami => true,
        }
    }
}
