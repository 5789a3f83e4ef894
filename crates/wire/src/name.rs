//! Domain names in wire form: labels with a length octet each, ended by the zero octet of the root
//! (RFC 1035 section 3.1).

pub(crate) mod compressed;

use std::fmt::{self, Write};

/// Maximum octets of a name in wire form, length octets and root included (RFC 1035 section 2.3.4).
pub const MAX_NAME_LEN: usize = 255;

/// Maximum octets of a label (RFC 1035 section 2.3.4).
const MAX_LABEL_LEN: u8 = 63;

/// A name from the configuration: absolute, lower case (RFC 4343), wire form, at most
/// [`MAX_NAME_LEN`] octets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<[u8]>);

/// Why a text is not a valid domain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// An empty label inside the name.
    EmptyLabel,
    /// A label of more than 63 octets.
    LabelTooLong,
    /// More than [`MAX_NAME_LEN`] octets in total.
    NameTooLong,
    /// `\` followed by neither three digits up to 255 nor another octet.
    BadEscape,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EmptyLabel => "an empty label",
            Self::LabelTooLong => "a label of more than 63 octets",
            Self::NameTooLong => "more than 255 octets",
            Self::BadEscape => "an incomplete escape",
        })
    }
}

impl Name {
    /// The root, `.`.
    pub fn root() -> Self {
        Self(Box::new([0]))
    }

    /// Parses presentation format, with or without the trailing dot, including the escapes `\.` and
    /// `\DDD`; converts to lower case.
    ///
    /// # Errors
    /// The rule of RFC 1035 section 2.3.4 or 5.1 that the text violates.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let mut wire = parse_wire(text)?;
        wire.make_ascii_lowercase();
        Ok(Self(wire.into_boxed_slice()))
    }

    /// The wire form, including the zero octet of the root.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// True when `lowered`, an absolute lower-case name in wire form, is this name or a subdomain
    /// of it. Compares whole labels: `notexample.org` is not a subdomain of `example.org`.
    pub fn covers(&self, lowered: &[u8]) -> bool {
        is_within(lowered, &self.0)
    }
}

/// True when `lowered` is `zone` or a subdomain of it, both absolute lower-case names in wire form.
pub fn is_within(lowered: &[u8], zone: &[u8]) -> bool {
    // Most names end like no zone but the root, where no label has to be compared.
    match lowered.strip_suffix(zone) {
        None => return false,
        Some(_) if zone.len() == 1 => return true,
        Some(_) => {}
    }
    let mut rest = lowered;
    while rest.len() > zone.len() {
        let Some(parent) = parent(rest) else {
            return false;
        };
        rest = parent;
    }
    rest == zone
}

/// The proper ancestors of an absolute name in wire form, from its parent to the root.
pub fn ancestors(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(parent(name), |name| parent(name))
}

fn parent(name: &[u8]) -> Option<&[u8]> {
    match *name {
        [] | [0, ..] => None,
        [len, ref rest @ ..] => rest.get(usize::from(len)..),
    }
}

/// Parses presentation format into wire form, as [`Name::parse`], with the case of the text.
pub(crate) fn parse_wire(text: &str) -> Result<Vec<u8>, NameError> {
    if text == "." {
        return Ok(vec![0]);
    }
    let mut wire = Vec::with_capacity(text.len() + 2);
    let mut rest = text.as_bytes();
    loop {
        let start = wire.len();
        wire.push(0);
        let more;
        (more, rest) = read_label(rest, &mut wire)?;
        let len = wire.len() - start - 1;
        if len == 0 {
            return Err(NameError::EmptyLabel);
        }
        let octet =
            u8::try_from(len).ok().filter(|len| *len <= MAX_LABEL_LEN).ok_or(NameError::LabelTooLong)?;
        if let Some(first) = wire.get_mut(start) {
            *first = octet;
        }
        if !more || rest.is_empty() {
            break;
        }
    }
    wire.push(0);
    if wire.len() > MAX_NAME_LEN {
        return Err(NameError::NameTooLong);
    }
    Ok(wire)
}

/// Appends the octets of the first label of `text`. Returns whether a dot ended it, and the rest.
fn read_label<'t>(mut text: &'t [u8], wire: &mut Vec<u8>) -> Result<(bool, &'t [u8]), NameError> {
    loop {
        match text {
            [] => return Ok((false, text)),
            [b'.', rest @ ..] => return Ok((true, rest)),
            _ => {
                let octet;
                (octet, text) = read_octet(text)?;
                wire.push(octet);
            }
        }
    }
}

/// The octet that the start of `text` stands for, with the escapes `\X` and `\DDD`, and the rest. A
/// text without octets is an incomplete escape.
pub(crate) fn read_octet(text: &[u8]) -> Result<(u8, &[u8]), NameError> {
    match text {
        [b'\\', a @ b'0'..=b'9', rest @ ..] => {
            let [b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] = rest else {
                return Err(NameError::BadEscape);
            };
            let number = [a, b, c].into_iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
            Ok((u8::try_from(number).map_err(|_| NameError::BadEscape)?, rest))
        }
        [b'\\', octet, rest @ ..] => Ok((*octet, rest)),
        [b'\\'] | [] => Err(NameError::BadEscape),
        [octet, rest @ ..] => Ok((*octet, rest)),
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&PresentationFormat(&self.0), f)
    }
}

/// Displays an uncompressed wire-form name in presentation format with the trailing dot. Octets
/// that are not printable ASCII, and special characters of zone files, are escaped (RFC 4343
/// section 2.1, RFC 1035 section 5.1), so that a client's name cannot break a log line. A name that
/// is cut short is displayed up to its last whole label.
#[derive(Clone, Copy, Debug)]
pub struct PresentationFormat<'a>(pub &'a [u8]);

impl fmt::Display for PresentationFormat<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.first() == Some(&0) {
            return f.write_char('.');
        }
        let mut rest = self.0;
        while let Some((len, tail)) = rest.split_first()
            && *len != 0
            && let Some((label, tail)) = tail.split_at_checked(usize::from(*len))
        {
            for octet in label {
                match octet {
                    b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' => write!(f, "\\{}", char::from(*octet))?,
                    b'!'..=b'~' => f.write_char(char::from(*octet))?,
                    _ => write!(f, "\\{octet:03}")?,
                }
            }
            f.write_char('.')?;
            rest = tail;
        }
        Ok(())
    }
}

/// Memory for a name in lower case, for those that were sent otherwise.
#[derive(Clone, Debug)]
pub struct NameBuffer([u8; MAX_NAME_LEN]);

impl NameBuffer {
    /// Memory for one name.
    pub const fn new() -> Self {
        Self([0; MAX_NAME_LEN])
    }
}

impl Default for NameBuffer {
    fn default() -> Self {
        Self::new()
    }
}

/// A lower-case wire-form name, in the form of the cache key: in the packet if it was sent like that.
#[derive(Clone, Copy)]
pub struct LowerName<'n>(&'n [u8]);

impl<'n> LowerName<'n> {
    /// Converts `wire`, a wire-form name of at most [`MAX_NAME_LEN`] octets, to lower case. Length
    /// octets are unaffected: they are below the letters.
    pub(crate) fn read(wire: &'n [u8], buffer: &'n mut NameBuffer) -> Self {
        if !has_uppercase(wire) {
            return Self(wire);
        }
        let Some(name) = buffer.0.get_mut(..wire.len()) else { return Self(&[]) };
        name.copy_from_slice(wire);
        name.make_ascii_lowercase();
        Self(name)
    }

    /// The wire form, including the zero octet of the root.
    pub const fn as_wire(&self) -> &'n [u8] {
        self.0
    }
}

/// True when an octet is one of A to Z; eight octets at a time.
fn has_uppercase(octets: &[u8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES << 7;
    let any = |word: u64| {
        // In each octet, the highest bit tells whether the others reach the letter.
        let low = word & !HIGH;
        let from_a = low + ONES * u64::from(0x80 - b'A');
        let beyond_z = low + ONES * u64::from(0x7f - b'Z');
        (from_a ^ beyond_z) & !word & HIGH != 0
    };
    let (words, rest) = octets.as_chunks::<8>();
    let mut last = [0; 8];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    words.iter().any(|word| any(u64::from_ne_bytes(*word))) || any(u64::from_ne_bytes(last))
}

impl fmt::Debug for LowerName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&PresentationFormat(self.as_wire()), f)
    }
}

/// The end of the name at `at`, if it is valid and uncompressed: labels of up to 63 octets, at most
/// [`MAX_NAME_LEN`] octets in total.
pub(crate) fn uncompressed_end(packet: &[u8], at: usize) -> Option<usize> {
    let mut cursor = at;
    loop {
        let len = *packet.get(cursor)?;
        cursor += 1 + usize::from(len);
        if len > MAX_LABEL_LEN || cursor - at > MAX_NAME_LEN {
            return None;
        }
        if len == 0 {
            return Some(cursor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capital_letters_are_found_at_each_place() {
        for length in 1..20 {
            for place in 0..length {
                for octet in 0..=u8::MAX {
                    let mut octets = vec![b'a'; length];
                    octets[place] = octet;
                    assert_eq!(has_uppercase(&octets), octet.is_ascii_uppercase(), "{octets:?}");
                }
            }
        }
    }
}
