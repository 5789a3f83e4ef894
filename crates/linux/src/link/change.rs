//! Changes made to a link.

use std::fmt;
use std::net::IpAddr;

use super::kind::LinkKind;

/// One thing that was done to a link.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LinkChange {
    /// No link had the name; one of this kind was made.
    Created(LinkKind),
    /// A link with the name was there already and is used. Says the kernel's word for its kind, e.g. `dummy`.
    Adopted(String),
    /// The address was missing.
    AddressAdded(IpAddr),
    /// The address was there, but with a prefix, scope or lifetime that lets other traffic leave from it, or invalid_input;
    /// it was replaced.
    AddressReplaced(IpAddr),
    /// The address was a predecessor's and is in no plan any more.
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

/// What was done to a link, in order; empty when everything was in place.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LinkChanges(pub Vec<LinkChange>);

impl LinkChanges {
    /// Whether nothing had to be done.
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
