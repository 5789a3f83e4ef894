//! Kinds of links that can carry the addresses (`-link-kind`), and the preference between them.

use std::fmt;
use std::str::FromStr;

/// Kinds of virtual links that take an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LinkKind {
    /// A link that drops what is sent through it; the default. Some minimal kernels lack its
    /// driver.
    Dummy,
    /// A bridge without ports.
    Bridge,
    /// An intermediate functional block.
    Ifb,
}

impl LinkKind {
    /// Every kind, the default first.
    pub const ALL: [Self; 3] = [Self::Dummy, Self::Bridge, Self::Ifb];

    /// The kind's name in the kernel and in `ip link`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dummy => "dummy",
            Self::Bridge => "bridge",
            Self::Ifb => "ifb",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for LinkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The kind of link to create.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LinkKindPreference {
    /// [`LinkKind::Dummy`], and where the kernel lacks its driver, [`LinkKind::Bridge`], which
    /// every node with containers has.
    #[default]
    Auto,
    /// This kind and no other.
    Only(LinkKind),
}

impl LinkKindPreference {
    const AUTO: &str = "auto";

    /// The kind to try first.
    #[must_use]
    pub const fn first(self) -> LinkKind {
        match self {
            Self::Auto => LinkKind::Dummy,
            Self::Only(kind) => kind,
        }
    }

    /// The kind to try where the kernel lacks the driver of the first.
    #[must_use]
    pub const fn fallback(self) -> Option<LinkKind> {
        match self {
            Self::Auto => Some(LinkKind::Bridge),
            Self::Only(_) => None,
        }
    }
}

impl From<LinkKind> for LinkKindPreference {
    fn from(kind: LinkKind) -> Self {
        Self::Only(kind)
    }
}

impl fmt::Display for LinkKindPreference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str(Self::AUTO),
            Self::Only(kind) => kind.fmt(f),
        }
    }
}

impl FromStr for LinkKindPreference {
    type Err = UnknownLinkKind;

    fn from_str(text: &str) -> Result<Self, UnknownLinkKind> {
        if text == Self::AUTO {
            return Ok(Self::Auto);
        }
        let kind = LinkKind::from_name(text).ok_or_else(|| UnknownLinkKind { text: text.to_owned() })?;
        Ok(Self::Only(kind))
    }
}

/// The text is not a [`LinkKindPreference`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnknownLinkKind {
    /// The text.
    pub text: String,
}

impl fmt::Display for UnknownLinkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no kind of link: choose auto, dummy, bridge or ifb", self.text)
    }
}

impl std::error::Error for UnknownLinkKind {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferences_round_trip_through_text() {
        for preference in
            LinkKind::ALL.map(LinkKindPreference::Only).into_iter().chain([LinkKindPreference::Auto])
        {
            assert_eq!(preference.to_string().parse(), Ok(preference));
        }
        let error = "veth".parse::<LinkKindPreference>().unwrap_err();
        assert_eq!(error.to_string(), "\"veth\" is no kind of link: choose auto, dummy, bridge or ifb");
    }

    #[test]
    fn only_auto_has_a_fallback() {
        assert_eq!(
            (LinkKindPreference::Auto.first(), LinkKindPreference::Auto.fallback()),
            (LinkKind::Dummy, Some(LinkKind::Bridge))
        );
        for kind in LinkKind::ALL {
            assert_eq!(
                (LinkKindPreference::from(kind).first(), LinkKindPreference::from(kind).fallback()),
                (kind, None)
            );
        }
    }
}
