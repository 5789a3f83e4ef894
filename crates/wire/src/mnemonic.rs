//! Mnemonics of response codes, classes and record types: the IANA registry "Domain Name System
//! (DNS) Parameters", as `dig` and CoreDNS print them.

use std::fmt;

/// Response codes.
pub(crate) const RCODES: &[(u16, &str)] = &[
    (0, "NOERROR"),
    (1, "FORMERR"),
    (2, "SERVFAIL"),
    (3, "NXDOMAIN"),
    (4, "NOTIMP"),
    (5, "REFUSED"),
    (6, "YXDOMAIN"),
    (7, "YXRRSET"),
    (8, "NXRRSET"),
    (9, "NOTAUTH"),
    (10, "NOTZONE"),
    (11, "DSOTYPENI"),
    (16, "BADVERS"),
    (17, "BADKEY"),
    (18, "BADTIME"),
    (19, "BADMODE"),
    (20, "BADNAME"),
    (21, "BADALG"),
    (22, "BADTRUNC"),
    (23, "BADCOOKIE"),
];

/// Classes. ANY (255) is printed as a number, because a type has the same mnemonic.
pub(crate) const CLASSES: &[(u16, &str)] = &[(1, "IN"), (2, "CS"), (3, "CH"), (4, "HS"), (254, "NONE")];

/// Record and query types; 0 is printed as in CoreDNS.
#[rustfmt::skip]
pub(crate) const TYPES: &[(u16, &str)] = &[
    (0, "None"), (1, "A"), (2, "NS"), (3, "MD"), (4, "MF"), (5, "CNAME"), (6, "SOA"), (7, "MB"), (8, "MG"),
    (9, "MR"), (10, "NULL"), (11, "WKS"), (12, "PTR"), (13, "HINFO"), (14, "MINFO"), (15, "MX"), (16, "TXT"),
    (17, "RP"), (18, "AFSDB"), (19, "X25"), (20, "ISDN"), (21, "RT"), (22, "NSAP"), (23, "NSAP-PTR"), (24, "SIG"),
    (25, "KEY"), (26, "PX"), (27, "GPOS"), (28, "AAAA"), (29, "LOC"), (30, "NXT"), (31, "EID"), (32, "NIMLOC"),
    (33, "SRV"), (34, "ATMA"), (35, "NAPTR"), (36, "KX"), (37, "CERT"), (38, "A6"), (39, "DNAME"), (40, "SINK"),
    (41, "OPT"), (42, "APL"), (43, "DS"), (44, "SSHFP"), (45, "IPSECKEY"), (46, "RRSIG"), (47, "NSEC"),
    (48, "DNSKEY"), (49, "DHCID"), (50, "NSEC3"), (51, "NSEC3PARAM"), (52, "TLSA"), (53, "SMIMEA"), (55, "HIP"),
    (56, "NINFO"), (57, "RKEY"), (58, "TALINK"), (59, "CDS"), (60, "CDNSKEY"), (61, "OPENPGPKEY"), (62, "CSYNC"),
    (63, "ZONEMD"), (64, "SVCB"), (65, "HTTPS"), (99, "SPF"), (100, "UINFO"), (101, "UID"), (102, "GID"),
    (103, "UNSPEC"), (104, "NID"), (105, "L32"), (106, "L64"), (107, "LP"), (108, "EUI48"), (109, "EUI64"),
    (128, "NXNAME"), (249, "TKEY"), (250, "TSIG"), (251, "IXFR"), (252, "AXFR"), (253, "MAILB"), (254, "MAILA"),
    (255, "ANY"), (256, "URI"), (257, "CAA"), (258, "AVC"), (259, "DOA"), (260, "AMTRELAY"), (261, "RESINFO"),
    (262, "WALLET"), (32768, "TA"), (32769, "DLV"),
];

/// The number of a mnemonic.
pub(crate) fn number(table: &[(u16, &str)], mnemonic: &str) -> Option<u16> {
    table.iter().find(|(_, known)| *known == mnemonic).map(|(number, _)| *number)
}

/// The number of a mnemonic in any case.
pub(crate) fn number_in_any_case(table: &[(u16, &str)], mnemonic: &str) -> Option<u16> {
    table.iter().find(|(_, known)| known.eq_ignore_ascii_case(mnemonic)).map(|(number, _)| *number)
}

/// Writes the mnemonic of `number`, or `prefix` and the number.
pub(crate) fn write(
    f: &mut fmt::Formatter<'_>,
    table: &[(u16, &str)],
    number: u16,
    prefix: &str,
) -> fmt::Result {
    match table.iter().find(|(known, _)| *known == number) {
        Some((_, mnemonic)) => f.write_str(mnemonic),
        None => write!(f, "{prefix}{number}"),
    }
}
