//! Directives that answer queries themselves, without an upstream.

/// A directive of a server block that answers queries itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalPlugin {
    /// `whoami`: no answer; address and port of the client as additional records.
    Whoami,
}

impl LocalPlugin {
    /// True for a directive behind `forward` in CoreDNS's chain: it gets the names that no `forward`
    /// matches.
    pub(crate) fn follows_forward(&self) -> bool {
        match self {
            Self::Whoami => true,
        }
    }
}
