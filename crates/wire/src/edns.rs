//! OPT, the pseudo record of EDNS (RFC 6891 section 6), and the extended error it may carry (RFC 8914).
//!
//! It is hop by hop: what a client sent is never passed on, and both sides get one of our own making.

use crate::header::{Class, Rcode, RecordType};
use crate::record::{Record, u16_at};

/// Octets of an OPT record without options: root name, type, size, extended flags, RDLENGTH.
pub const OPT_LEN: usize = 11;

/// UDP payload size we advertise and stay within on both sides: no fragments on any link (RFC 9715 section 3.1).
pub const OUR_UDP_SIZE: u16 = 1232;

/// What a message's OPT says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    /// The sender's UDP payload size as sent, 0..=65535; below 512 counts as 512 (RFC 6891 section 6.2.3).
    pub udp_size: u16,
    /// EDNS version; only 0 exists.
    pub version: u8,
    /// DO: the sender wants DNSSEC records (RFC 3225).
    pub dnssec_ok: bool,
}

/// An extended DNS error code (RFC 8914 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedError(pub u16);

impl ExtendedError {
    /// The answer has outlived its TTL.
    pub const STALE_ANSWER: Self = Self(3);
    /// The NXDOMAIN has outlived its TTL.
    pub const STALE_NXDOMAIN_ANSWER: Self = Self(19);
    /// A failure from the cache.
    pub const CACHED_ERROR: Self = Self(13);
    /// No upstream could be reached.
    pub const NO_REACHABLE_AUTHORITY: Self = Self(22);
    /// An upstream could not be talked to.
    pub const NETWORK_ERROR: Self = Self(23);
}

/// Octets that an extended error adds to OPT.
pub const EXTENDED_ERROR_LEN: usize = 6;

/// The option that carries an extended error (RFC 8914 section 2).
const EXTENDED_ERROR: u16 = 15;

/// DO among the sixteen extended flags (RFC 3225 section 3).
const DNSSEC_OK: u16 = 0x8000;

/// Appends an OPT record: version 0, `udp_size`, `dnssec_ok`, the upper eight bits of `rcode`, and the
/// extended error if there is one.
pub fn push_opt(
    out: &mut Vec<u8>,
    udp_size: u16,
    dnssec_ok: bool,
    rcode: Rcode,
    error: Option<ExtendedError>,
) {
    let [_, extended_rcode] = (rcode.0 >> 4).to_be_bytes();
    let flags = if dnssec_ok { DNSSEC_OK } else { 0 };
    out.push(0);
    out.extend_from_slice(&RecordType::OPT.0.to_be_bytes());
    out.extend_from_slice(&udp_size.to_be_bytes());
    out.extend_from_slice(&[extended_rcode, 0]);
    out.extend_from_slice(&flags.to_be_bytes());
    match error {
        None => out.extend_from_slice(&[0, 0]),
        Some(ExtendedError(code)) => {
            out.extend_from_slice(&[0, 6]);
            out.extend_from_slice(&EXTENDED_ERROR.to_be_bytes());
            out.extend_from_slice(&[0, 2]);
            out.extend_from_slice(&code.to_be_bytes());
        }
    }
}

/// What the OPT record `opt` of `packet` says, and the response code with its eight more bits on top of the
/// header's `low` four. Nothing when an option is longer than the record.
pub(crate) fn read(packet: &[u8], opt: &Record, low: Rcode) -> Option<(Edns, Rcode)> {
    let mut option = opt.rdata;
    while option < opt.end {
        option = option + 4 + usize::from(u16_at(packet, option + 2)?);
    }
    if option != opt.end {
        return None;
    }
    let Class(udp_size) = opt.class;
    let [extended_rcode, version, flags, _] = opt.ttl.to_be_bytes();
    let edns = Edns { udp_size, version, dnssec_ok: flags & 0x80 != 0 };
    Some((edns, Rcode(u16::from(extended_rcode) << 4 | low.0)))
}
