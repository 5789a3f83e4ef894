//! A name, a type and a class.

use testkit::RecordType;

/// Class IN.
pub const IN: u16 = 1;
/// Class CH: questions about the server itself.
pub const CH: u16 = 3;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    /// QNAME, absolute, in presentation form.
    pub name: String,
    /// QTYPE.
    pub rtype: u16,
    /// QCLASS.
    pub class: u16,
}

impl Question {
    /// A question of class IN for a type given as mnemonic or in RFC 3597 form; `None` if the type is
    /// unknown.
    pub fn new(name: &str, rtype: &str) -> Option<Self> {
        Some(Self { name: name.to_owned(), rtype: type_number(rtype)?, class: IN })
    }

    /// The same in class CH.
    pub fn in_chaos(self) -> Self {
        Self { class: CH, ..self }
    }
}

/// The number of a type, from its mnemonic or RFC 3597 form.
pub fn type_number(rtype: &str) -> Option<u16> {
    match rtype {
        "RP" => Some(17),
        "AFSDB" => Some(18),
        "LOC" => Some(29),
        _ => match rtype.strip_prefix("TYPE") {
            Some(digits) => digits.parse().ok(),
            None => rtype.parse::<RecordType>().ok().map(u16::from),
        },
    }
}
