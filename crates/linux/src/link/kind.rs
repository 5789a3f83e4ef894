//! The kinds of link that can carry our addresses, and the choice between them.

use std::fmt;
use std::str::FromStr;

/// The kinds of link that need no hardware and take an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LinkKind {
    /// A link that drops what is sent through it; the usual choice. Its driver is missing on some minimal kernels.
    Dummy,
    /// A bridge without ports.
    Bridge,
    /// An intermediate functional block.
    Ifb,
}

impl LinkKind {
    /// Every kind, the usual one first.
    pub const ALL: [Self; 3] = [Self::Dummy, Self::Bridge, Self::Ifb];

    /// The name that the kernel and `ip link` know the kind by.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dummy => "dummy",
            Self::Bridge => "bridge",
            Self::Ifb => "ifb",
        }
    }

    /// The kind that the kernel knows by this name.
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

/// Which kind of link to create.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LinkKindPreference {
    /// [`LinkKind::Dummy`], and where the kernel has no driver for it, [`LinkKind::Bridge`], which every node with
    /// containers has.
    #[default]
    Auto,
    /// This kind and no other.
    Only(LinkKind),
}

impl LinkKindPreference {
    /// How the choice that is no kind is written.
    const AUTO: &str = "auto";

    /// The kind to try first.
    #[must_use]
    pub const fn first(self) -> LinkKind {
        match self {
            Self::Auto => LinkKind::Dummy,
            Self::Only(kind) => kind,
        }
    }

    /// The kind to try where the kernel has no driver for the first.
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

/// A text that is no [`LinkKindPreference`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnknownLinkKind {
    /// What was given.
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
    fn choices_are_read_as_they_are_written() {
        for choice in
            LinkKind::ALL.map(LinkKindPreference::Only).into_iter().chain([LinkKindPreference::Auto])
        {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
        let error = "veth".parse::<LinkKindPreference>().unwrap_err();
        assert_eq!(error.to_string(), "\"veth\" is no kind of link: choose auto, dummy, bridge or ifb");
    }

    #[test]
    fn only_auto_has_a_second_choice() {
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
