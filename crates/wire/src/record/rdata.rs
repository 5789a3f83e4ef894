//! Layout of RDATA by record type: validity, and the positions of domain names.

mod formats;

use super::Record;
use crate::header::{Class, RecordType};
use Field::{
    A6, Gateway, HipKeys, Name, Names, Octets, OptionalString, Prefixes, Rest, String, Strings, SvcParams,
    TypeBitmap,
};

/// A part of RDATA.
#[derive(Clone, Copy)]
enum Field {
    /// This many octets.
    Octets(usize),
    /// At least this many octets, up to the end.
    Rest(usize),
    /// A domain name.
    Name,
    /// Domain names, up to the end.
    Names,
    /// A character string: a length octet and that many octets (RFC 1035 section 3.3).
    String,
    /// At most one character string.
    OptionalString,
    /// Character strings, up to the end. None counts as an empty one (RFC 6763 section 6.1).
    Strings,
    /// Windows of record types, up to the end (RFC 4034 section 4.1.2).
    TypeBitmap,
    /// Parameters of SVCB, up to the end (RFC 9460 section 2.2).
    SvcParams,
    /// Address prefixes, up to the end (RFC 3123 section 4).
    Prefixes,
    /// Nothing, an address or a domain name, by the octet at this offset of RDATA, of which `mask`
    /// counts (RFC 4025 section 2.3, RFC 8777 section 4.2.3).
    Gateway { type_at: usize, mask: u8 },
    /// Lengths, host identity tag and public key (RFC 8005 section 5).
    HipKeys,
    /// Prefix length, address suffix, and a domain name unless the prefix is empty (RFC 2874
    /// section 3.1).
    A6,
}

/// The layout of a type's RDATA; [`Rest`] for types of which nothing is known (RFC 3597).
const fn fields(rtype: RecordType, class: Class) -> &'static [Field] {
    match (rtype.0, class.0) {
        // Addresses of other classes have other formats.
        (1, 1) => &[Octets(4)],
        (28, 1) => &[Octets(16)],
        // NS, MD, MF, CNAME, MB, MG, MR, PTR, NSAP-PTR, DNAME.
        (2..=5 | 7..=9 | 12 | 23 | 39, _) => &[Name],
        // SOA.
        (6, _) => &[Name, Name, Octets(20)],
        // MINFO, RP, TALINK.
        (14 | 17 | 58, _) => &[Name, Name],
        // MX, AFSDB, RT, KX, LP.
        (15 | 18 | 21 | 36 | 107, _) => &[Octets(2), Name],
        // PX.
        (26, _) => &[Octets(2), Name, Name],
        // SRV.
        (33, _) => &[Octets(6), Name],
        // NAPTR: flags, services and regular expression before the replacement.
        (35, _) => &[Octets(4), String, String, String, Name],
        (38, _) => &[A6],
        // SIG, RRSIG: the signer.
        (24 | 46, _) => &[Octets(18), Name, Rest(0)],
        // NXT: the next owner.
        (30, _) => &[Name, Rest(0)],
        // NSEC: the next owner.
        (47, _) => &[Name, TypeBitmap],
        // NSEC3: salt and hash.
        (50, _) => &[Octets(4), String, String, TypeBitmap],
        // NSEC3PARAM: salt.
        (51, _) => &[Octets(4), String],
        // CSYNC.
        (62, _) => &[Octets(6), TypeBitmap],
        // IPSECKEY.
        (45, _) => &[Octets(3), Gateway { type_at: 1, mask: 0xff }, Rest(0)],
        // AMTRELAY: the highest bit is a flag.
        (260, _) => &[Octets(2), Gateway { type_at: 1, mask: 0x7f }],
        (55, _) => &[HipKeys, Names],
        // SVCB, HTTPS: the target.
        (64 | 65, _) => &[Octets(2), Name, SvcParams],
        // DSYNC.
        (66, _) => &[Octets(5), Name],
        _ => fields_without_names(rtype),
    }
}

const fn fields_without_names(rtype: RecordType) -> &'static [Field] {
    match rtype.0 {
        // HINFO.
        13 => &[String, String],
        // TXT, NINFO, SPF, AVC, RESINFO, WALLET.
        16 | 56 | 99 | 258 | 261 | 262 => &[Strings],
        // X25.
        19 => &[String],
        // ISDN.
        20 => &[String, OptionalString],
        // GPOS.
        27 => &[String, String, String],
        // LOC.
        29 => &[Octets(16)],
        42 => &[Prefixes],
        // KEY, DS, DNSKEY, RKEY, CDS, CDNSKEY, TA, DLV.
        25 | 43 | 48 | 57 | 59 | 60 | 32768 | 32769 => &[Rest(4)],
        // WKS, CERT; URI, whose target is not empty.
        11 | 37 | 256 => &[Rest(5)],
        // SSHFP.
        44 => &[Rest(2)],
        // TLSA, SMIMEA.
        52 | 53 => &[Rest(3)],
        // ZONEMD.
        63 => &[Rest(6)],
        // L32, EUI48.
        105 | 108 => &[Octets(6)],
        // NID, L64.
        104 | 106 => &[Octets(10)],
        // EUI64.
        109 => &[Octets(8)],
        // CAA: flags and tag.
        257 => &[Octets(1), String, Rest(0)],
        _ => &[Rest(0)],
    }
}

/// Passes the position of each domain name in the RDATA of `record` to `name`, which returns the
/// end of the name in place. Nothing when the RDATA does not have the format of its type.
pub(crate) fn visit_names(
    packet: &[u8],
    record: &Record,
    mut name: impl FnMut(usize) -> Option<usize>,
) -> Option<()> {
    let (rdata, end) = (record.rdata, record.end);
    let octet = |at: usize| packet.get(at).filter(|_| at < end).map(|octet| usize::from(*octet));
    let rest = |at: usize| packet.get(at..end);
    let mut at = rdata;
    for field in fields(record.rtype, record.class) {
        at = match *field {
            Octets(count) => at + count,
            Rest(least) => (at + least <= end).then_some(end)?,
            String => at + 1 + octet(at)?,
            OptionalString => octet(at).map_or(at, |len| at + 1 + len),
            Strings => formats::has_strings(rest(at)?).then_some(end)?,
            TypeBitmap => formats::is_type_bitmap(rest(at)?).then_some(end)?,
            SvcParams => formats::has_svc_params(rest(at)?).then_some(end)?,
            Prefixes => formats::has_prefixes(rest(at)?).then_some(end)?,
            Name => name(at)?,
            Names => {
                while at < end {
                    at = name(at)?;
                }
                at
            }
            Gateway { type_at, mask } => match octet(rdata + type_at)? & usize::from(mask) {
                0 => at,
                1 => at + 4,
                2 => at + 16,
                3 => name(at)?,
                _ => return None,
            },
            HipKeys => at + 4 + octet(at)? + (octet(at + 2)? << 8 | octet(at + 3)?),
            A6 => match octet(at)? {
                0 => at + 17,
                prefix @ 1..=128 => name(at + 1 + (128 - prefix).div_ceil(8))?,
                _ => return None,
            },
        };
        if at > end {
            return None;
        }
    }
    (at == end).then_some(())
}

/// The types of RFC 1035 with names in RDATA, which every receiver decompresses. In all other types
/// names are sent uncompressed (RFC 3597 section 4).
pub(crate) fn is_compressible(rtype: RecordType) -> bool {
    matches!(rtype.0, 2..=9 | 12 | 14 | 15)
}
