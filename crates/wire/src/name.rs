//! Domain names in wire form: labels with a length octet each, ended by the root's zero (RFC 1035 section 3.1).

pub(crate) mod compressed;

use std::fmt::{self, Write};

/// Octets a name may have on the wire, length octets and root included (RFC 1035 section 2.3.4).
pub const MAX_NAME_LEN: usize = 255;

/// Octets a label may have (RFC 1035 section 2.3.4).
const MAX_LABEL_LEN: u8 = 63;

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
        if text == "." {
            return Ok(Self::root());
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
        wire.make_ascii_lowercase();
        Ok(Self(wire.into_boxed_slice()))
    }

    /// The wire form, the root's zero included.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// True when `lowered`, an absolute lower-case wire name, is this name or below it. Labels are compared
    /// whole: `notexample.org` is not below `example.org`.
    pub fn covers(&self, lowered: &[u8]) -> bool {
        let mut rest = lowered;
        while rest.len() > self.0.len() {
            let behind = rest.first().and_then(|len| rest.get(1 + usize::from(*len)..));
            let Some(behind) = behind else {
                return false;
            };
            rest = behind;
        }
        rest == &*self.0
    }
}

/// Appends the octets of the label that `text` begins with; true, and what follows, when a dot ended it.
fn read_label<'t>(mut text: &'t [u8], wire: &mut Vec<u8>) -> Result<(bool, &'t [u8]), NameError> {
    loop {
        text = match text {
            [] => return Ok((false, text)),
            [b'.', rest @ ..] => return Ok((true, rest)),
            [b'\\', a @ b'0'..=b'9', rest @ ..] => {
                let [b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] = rest else {
                    return Err(NameError::BadEscape);
                };
                let number = [a, b, c].into_iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
                wire.push(u8::try_from(number).map_err(|_| NameError::BadEscape)?);
                rest
            }
            [b'\\', octet, rest @ ..] => {
                wire.push(*octet);
                rest
            }
            [b'\\'] => return Err(NameError::BadEscape),
            [octet, rest @ ..] => {
                wire.push(*octet);
                rest
            }
        };
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&PresentationFormat(&self.0), f)
    }
}

/// Shows a wire-form name (no pointers) in presentation form with the last dot; octets that are not printable
/// ASCII, and printable ones with a meaning in zone files, are escaped (RFC 4343 section 2.1, RFC 1035 section 5.1),
/// so a client's name cannot break a log line. Stops quietly where the octets end early.
#[derive(Clone, Copy, Debug)]
pub struct PresentationFormat<'a>(pub &'a [u8]);

impl fmt::Display for PresentationFormat<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.first() == Some(&0) {
            return f.write_char('.');
        }
        let mut rest = self.0;
        while let Some((len, behind)) = rest.split_first()
            && *len != 0
            && let Some((label, behind)) = behind.split_at_checked(usize::from(*len))
        {
            for octet in label {
                match octet {
                    b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' => write!(f, "\\{}", char::from(*octet))?,
                    b'!'..=b'~' => f.write_char(char::from(*octet))?,
                    _ => write!(f, "\\{octet:03}")?,
                }
            }
            f.write_char('.')?;
            rest = behind;
        }
        Ok(())
    }
}

/// A lower-case wire-form name on the stack, as the cache key wants it.
#[derive(Clone, Copy)]
pub struct LowerName {
    bytes: [u8; MAX_NAME_LEN],
    len: u8,
}

impl LowerName {
    /// Lowers `wire`, a name in wire form of at most [`MAX_NAME_LEN`] octets. Length octets are below the letters.
    pub(crate) fn read(wire: &[u8]) -> Self {
        let mut bytes = [0; MAX_NAME_LEN];
        let len = match bytes.get_mut(..wire.len()) {
            Some(name) => {
                name.copy_from_slice(wire);
                name.make_ascii_lowercase();
                u8::try_from(wire.len()).unwrap_or(u8::MAX)
            }
            None => 0,
        };
        Self { bytes, len }
    }

    /// The wire form, the root's zero included.
    pub fn as_wire(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl fmt::Debug for LowerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&PresentationFormat(self.as_wire()), f)
    }
}

/// Where the name at `at` ends, if it is one without pointers: labels up to 63 octets, at most [`MAX_NAME_LEN`]
/// octets in all.
pub(crate) fn plain_end(packet: &[u8], at: usize) -> Option<usize> {
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
