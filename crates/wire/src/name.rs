//! Domain names in wire form: labels with a length octet each, ended by the root's zero (RFC 1035 section 3.1).

use std::fmt;

/// Octets a name may have on the wire, length octets and root included (RFC 1035 section 2.3.4).
pub const MAX_NAME_LEN: usize = 255;

/// A name of our own configuration: absolute, lower case (RFC 4343), wire form, at most [`MAX_NAME_LEN`] octets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name(Box<[u8]>);

/// Why a text is not a domain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// A label without octets inside the name.
    EmptyLabel,
    /// A label above 63 octets.
    LabelTooLong,
    /// More than [`MAX_NAME_LEN`] octets in all.
    NameTooLong,
    /// `\` followed by neither three digits up to 255 nor another octet.
    BadEscape,
}

impl Name {
    /// The root, `.`.
    pub fn root() -> Self {
        Self(Box::new([0]))
    }

    /// Reads presentation form with or without the last dot, `\.` and `\DDD` escapes included; lowers the case.
    ///
    /// # Errors
    /// The rule of RFC 1035 section 2.3.4 or 5.1 that the text breaks.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        todo!("{text}")
    }

    /// The wire form, the root's zero included.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// True when `lowered`, an absolute lower-case wire name, is this name or below it. Labels are compared
    /// whole: `notexample.org` is not below `example.org`.
    pub fn covers(&self, lowered: &[u8]) -> bool {
        todo!("{lowered:?}")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Presented(&self.0).fmt(f)
    }
}

/// Shows a wire-form name (no pointers) in presentation form with the last dot; octets that are not printable
/// ASCII, dots and backslashes inside labels are escaped (RFC 4343 section 2.1), so a client's name cannot
/// break a log line. Stops quietly where the octets end early.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a>(pub &'a [u8]);

impl fmt::Display for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

/// A lower-case wire-form name on the stack, as the cache key wants it.
#[derive(Clone, Copy)]
pub struct LowerName {
    bytes: [u8; MAX_NAME_LEN],
    len: u8,
}

impl LowerName {
    /// The wire form, the root's zero included.
    pub fn as_wire(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl fmt::Debug for LowerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Presented(self.as_wire()).fmt(f)
    }
}
