//! Positions of domain names in RDATA, by record type.

use crate::header::{Class, RecordType};

/// The layout of a type's RDATA: `before` octets, `strings` character strings, `names` domain
/// names, then `after` octets (any number where it is absent).
pub(crate) struct RdataLayout {
    before: usize,
    strings: usize,
    /// Domain names.
    pub(crate) names: usize,
    /// Octets after the last name.
    pub(super) after: Option<usize>,
}

impl RdataLayout {
    pub(crate) const fn of(rtype: RecordType, class: Class) -> Self {
        let (before, strings, names, after) = match rtype.0 {
            // A and AAAA: old stub resolvers trust their size. Other classes have other addresses.
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
            // NAPTR: flags, services and regular expression before the replacement.
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

    /// The position of the first name, for RDATA at `rdata`.
    pub(crate) fn names_at(&self, packet: &[u8], rdata: usize) -> Option<usize> {
        let mut at = rdata + self.before;
        for _ in 0..self.strings {
            at += 1 + usize::from(*packet.get(at)?);
        }
        Some(at)
    }
}
