//! Positions of domain names in the RDATA of the known record types.

use crate::header::{Class, RecordType};

/// Where names are in the RDATA of a type: behind `before` octets and `strings` with a length octet each, that
/// many, and `after` octets or any number.
pub(crate) struct Layout {
    before: usize,
    strings: usize,
    pub(super) names: usize,
    pub(super) after: Option<usize>,
}

impl Layout {
    pub(crate) const fn of(rtype: RecordType, class: Class) -> Self {
        let (before, strings, names, after) = match rtype.0 {
            // Addresses, in whose size old stub resolvers trust. Other classes have other addresses.
            1 if class.0 == Class::IN.0 => (4, 0, 0, Some(0)),
            28 if class.0 == Class::IN.0 => (16, 0, 0, Some(0)),
            // NS, MD, MF, CNAME, MB, MG, MR, PTR, DNAME.
            2..=5 | 7..=9 | 12 | 39 => (0, 0, 1, Some(0)),
            // SOA with its five numbers.
            6 => (0, 0, 2, Some(20)),
            // MINFO, RP.
            14 | 17 => (0, 0, 2, Some(0)),
            // MX, AFSDB, RT, KX.
            15 | 18 | 21 | 36 => (2, 0, 1, Some(0)),
            // PX.
            26 => (2, 0, 2, Some(0)),
            // SRV.
            33 => (6, 0, 1, Some(0)),
            // NAPTR: flags, services and expression before the replacement.
            35 => (4, 3, 1, Some(0)),
            // SIG, RRSIG: the signer.
            24 | 46 => (18, 0, 1, None),
            // NXT, NSEC: the next owner. TKEY, TSIG: the algorithm.
            30 | 47 | 249 | 250 => (0, 0, 1, None),
            // SVCB, HTTPS: the target.
            64 | 65 => (2, 0, 1, None),
            _ => (0, 0, 0, None),
        };
        Self { before, strings, names, after }
    }

    /// How many names there are.
    pub(crate) fn names(&self) -> usize {
        self.names
    }

    /// Where the first name of the RDATA at `rdata` begins.
    pub(crate) fn names_at(&self, packet: &[u8], rdata: usize) -> Option<usize> {
        let mut at = rdata + self.before;
        for _ in 0..self.strings {
            at += 1 + usize::from(*packet.get(at)?);
        }
        Some(at)
    }
}
