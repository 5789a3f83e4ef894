//! The DNS header (RFC 1035 section 4.1.1): flags, counts, response codes, record types, classes.
//!
//! ```text
//!                                 1  1  1  1  1  1
//!   0  1  2  3  4  5  6  7  8  9  0  1  2  3  4  5
//! +--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+
//! |                      ID                       |
//! |QR|   Opcode  |AA|TC|RD|RA| Z|AD|CD|   RCODE   |
//! |                    QDCOUNT                    |
//! |                    ANCOUNT                    |
//! |                    NSCOUNT                    |
//! |                    ARCOUNT                    |
//! +--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+
//! ```

use crate::mnemonic;

/// Octets in a header.
pub const HEADER_LEN: usize = 12;

/// The second pair of octets: QR, opcode, the flag bits and the low four bits of the response code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Flags(pub u16);

impl Flags {
    /// Response (1) or query (0).
    pub const QR: Self = Self(0x8000);
    /// The four bits of the opcode.
    pub const OPCODE: Self = Self(0x7800);
    /// Authoritative answer.
    pub const AA: Self = Self(0x0400);
    /// Truncated.
    pub const TC: Self = Self(0x0200);
    /// Recursion desired.
    pub const RD: Self = Self(0x0100);
    /// Recursion available.
    pub const RA: Self = Self(0x0080);
    /// Authentic data (RFC 4035 section 3.2.3).
    pub const AD: Self = Self(0x0020);
    /// Checking disabled (RFC 4035 section 3.2.2).
    pub const CD: Self = Self(0x0010);

    /// True when every bit of `other` is set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These flags and those of `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Only the bits that `mask` has too.
    #[must_use]
    pub const fn only(self, mask: Self) -> Self {
        Self(self.0 & mask.0)
    }

    /// The four-bit opcode, 0 = QUERY.
    pub const fn opcode(self) -> u8 {
        ((self.0 >> 11) & 0x0f) as u8
    }

    /// The low four bits of the response code; OPT may carry eight more (RFC 6891 section 6.1.3).
    pub const fn rcode(self) -> Rcode {
        Rcode(self.0 & 0x000f)
    }

    /// These flags with the low four bits of `rcode`.
    #[must_use]
    pub const fn with_rcode(self, rcode: Rcode) -> Self {
        Self((self.0 & !0x000f) | (rcode.0 & 0x000f))
    }
}

/// A response code, with the extension bits of OPT where the message has them (0..=4095).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rcode(pub u16);

impl Rcode {
    /// No error.
    pub const NOERROR: Self = Self(0);
    /// The message could not be understood.
    pub const FORMERR: Self = Self(1);
    /// The server failed.
    pub const SERVFAIL: Self = Self(2);
    /// The name does not exist.
    pub const NXDOMAIN: Self = Self(3);
    /// The opcode is not implemented.
    pub const NOTIMP: Self = Self(4);
    /// Refused by policy.
    pub const REFUSED: Self = Self(5);
    /// EDNS version not supported (RFC 6891 section 9).
    pub const BADVERS: Self = Self(16);

    /// The response code with this mnemonic.
    pub fn from_mnemonic(mnemonic: &str) -> Option<Self> {
        mnemonic::number(mnemonic::RCODES, mnemonic).map(Self)
    }
}

impl std::fmt::Display for Rcode {
    /// The mnemonic (`NOERROR`), else `RCODE` and the number.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        mnemonic::write(f, mnemonic::RCODES, self.0, "RCODE")
    }
}

/// A record or query type (RFC 1035 section 3.2.2 and successors).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordType(pub u16);

impl RecordType {
    /// IPv4 address.
    pub const A: Self = Self(1);
    /// Name server.
    pub const NS: Self = Self(2);
    /// Alias.
    pub const CNAME: Self = Self(5);
    /// Start of authority.
    pub const SOA: Self = Self(6);
    /// Pointer, for reverse names.
    pub const PTR: Self = Self(12);
    /// Host information; QTYPE of loop detection.
    pub const HINFO: Self = Self(13);
    /// Mail exchange.
    pub const MX: Self = Self(15);
    /// Text.
    pub const TXT: Self = Self(16);
    /// Signature of a zone or, covering type 0, of a transaction (RFC 2535, RFC 2931).
    pub const SIG: Self = Self(24);
    /// IPv6 address.
    pub const AAAA: Self = Self(28);
    /// Service location (RFC 2782).
    pub const SRV: Self = Self(33);
    /// Naming authority pointer (RFC 3403).
    pub const NAPTR: Self = Self(35);
    /// Redirection of all names below (RFC 6672).
    pub const DNAME: Self = Self(39);
    /// EDNS pseudo record (RFC 6891).
    pub const OPT: Self = Self(41);
    /// Delegation signer.
    pub const DS: Self = Self(43);
    /// Signature.
    pub const RRSIG: Self = Self(46);
    /// Authenticated denial.
    pub const NSEC: Self = Self(47);
    /// Zone key.
    pub const DNSKEY: Self = Self(48);
    /// Hashed authenticated denial.
    pub const NSEC3: Self = Self(50);
    /// Service binding (RFC 9460).
    pub const SVCB: Self = Self(64);
    /// Service binding for HTTPS (RFC 9460).
    pub const HTTPS: Self = Self(65);
    /// Transaction key (RFC 2930).
    pub const TKEY: Self = Self(249);
    /// Transaction signature (RFC 8945).
    pub const TSIG: Self = Self(250);
    /// Incremental transfer.
    pub const IXFR: Self = Self(251);
    /// Full transfer.
    pub const AXFR: Self = Self(252);
    /// Any type.
    pub const ANY: Self = Self(255);

    /// The type with this mnemonic, in upper case.
    pub fn from_mnemonic(mnemonic: &str) -> Option<Self> {
        mnemonic::number(mnemonic::TYPES, mnemonic).map(Self)
    }

    /// The type with a mnemonic in any case, or with `TYPE` and its number (RFC 3597 section 5).
    pub fn parse(text: &str) -> Option<Self> {
        let upper = text.to_ascii_uppercase();
        let number = || upper.strip_prefix("TYPE").and_then(|digits| digits.parse().ok());
        mnemonic::number_in_any_case(mnemonic::TYPES, text).or_else(number).map(Self)
    }
}

impl std::fmt::Display for RecordType {
    /// The mnemonic (`AAAA`), else `TYPE` and the number (RFC 3597 section 5).
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        mnemonic::write(f, mnemonic::TYPES, self.0, "TYPE")
    }
}

/// A class (RFC 1035 section 3.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Class(pub u16);

impl Class {
    /// The Internet.
    pub const IN: Self = Self(1);
    /// Chaos: of the server itself, such as `version.bind`.
    pub const CH: Self = Self(3);
    /// No class, in updates only (RFC 2136 section 1.3).
    pub const NONE: Self = Self(254);
    /// Any class, in questions only (RFC 1035 section 3.2.5).
    pub const ANY: Self = Self(255);

    /// The class with this mnemonic, in upper case.
    pub fn from_mnemonic(mnemonic: &str) -> Option<Self> {
        if mnemonic == "ANY" {
            Some(Self::ANY)
        } else {
            mnemonic::number(mnemonic::CLASSES, mnemonic).map(Self)
        }
    }
}

impl std::fmt::Display for Class {
    /// The mnemonic (`IN`), else `CLASS` and the number; also for ANY, which is a type's mnemonic
    /// too.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        mnemonic::write(f, mnemonic::CLASSES, self.0, "CLASS")
    }
}

/// The header's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Chosen by the client, copied into the response.
    pub id: u16,
    /// QR, opcode, flags, response code.
    pub flags: Flags,
    /// Questions.
    pub qdcount: u16,
    /// Answer records.
    pub ancount: u16,
    /// Authority records.
    pub nscount: u16,
    /// Additional records, OPT included.
    pub arcount: u16,
}

impl Header {
    /// Parses the header; nothing when `packet` is shorter.
    pub fn read(packet: &[u8]) -> Option<Self> {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = *packet.first_chunk::<HEADER_LEN>()?;
        Some(Self {
            id: u16::from_be_bytes([a, b]),
            flags: Flags(u16::from_be_bytes([c, d])),
            qdcount: u16::from_be_bytes([e, f]),
            ancount: u16::from_be_bytes([g, h]),
            nscount: u16::from_be_bytes([i, j]),
            arcount: u16::from_be_bytes([k, l]),
        })
    }

    /// The header in wire form.
    pub fn to_bytes(self) -> [u8; HEADER_LEN] {
        let [a, b] = self.id.to_be_bytes();
        let [c, d] = self.flags.0.to_be_bytes();
        let [e, f] = self.qdcount.to_be_bytes();
        let [g, h] = self.ancount.to_be_bytes();
        let [i, j] = self.nscount.to_be_bytes();
        let [k, l] = self.arcount.to_be_bytes();
        [a, b, c, d, e, f, g, h, i, j, k, l]
    }
}

#[cfg(test)]
mod tests {
    use super::RecordType;

    #[test]
    fn every_type_is_read_as_it_is_written_in_any_case() {
        for number in 0..=u16::MAX {
            let text = RecordType(number).to_string();
            for text in [text.to_lowercase(), text.to_uppercase(), text] {
                assert_eq!(RecordType::parse(&text), Some(RecordType(number)), "{text}");
            }
        }
        assert_eq!(RecordType::parse("TYPE65536"), None);
    }
}
