//! Changes made to a link.

use std::fmt;
use std::net::IpAddr;

use super::kind::LinkKind;

/// One change to a link.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LinkChange {
    /// Created with this kind; no link had the name.
    Created(LinkKind),
    /// A link of the name existed and is used; the kernel's name of its kind, e.g. `dummy`.
    Adopted(String),
    /// The address was missing.
    AddressAdded(IpAddr),
    /// The address was unusable, or its prefix, scope or lifetime allowed other traffic to use it
    /// as a source.
    AddressReplaced(IpAddr),
    /// The address is not configured any more.
    AddressRemoved(IpAddr),
    /// The link was down.
    SetUp,
}

impl fmt::Display for LinkChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created(kind) => write!(f, "created as {kind}"),
            Self::Adopted(kind) => write!(f, "adopted, kind {kind}"),
            Self::AddressAdded(address) => write!(f, "{address} added"),
            Self::AddressReplaced(address) => write!(f, "{address} replaced"),
            Self::AddressRemoved(address) => write!(f, "{address} removed"),
            Self::SetUp => f.write_str("set up"),
        }
    }
}

/// The changes to a link, in order; empty when it was as configured.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LinkChanges(pub Vec<LinkChange>);

impl LinkChanges {
    /// Whether the link was as configured.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for LinkChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, change) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            change.fmt(f)?;
        }
        Ok(())
    }
}
