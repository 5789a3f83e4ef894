//! OPT, the pseudo record of EDNS (RFC 6891 section 6), and the extended error it may carry (RFC 8914).
//!
//! It is hop by hop: what a client sent is never passed on, and both sides get one of our own making.

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
    /// A failure from the cache.
    pub const CACHED_ERROR: Self = Self(13);
    /// No upstream could be reached.
    pub const NO_REACHABLE_AUTHORITY: Self = Self(22);
    /// An upstream could not be talked to.
    pub const NETWORK_ERROR: Self = Self(23);
}

/// Appends an OPT record: version 0, `udp_size`, `dnssec_ok`, the upper eight bits of `rcode`, and the
/// extended error if there is one.
pub fn push_opt(
    out: &mut Vec<u8>,
    udp_size: u16,
    dnssec_ok: bool,
    rcode: crate::header::Rcode,
    error: Option<ExtendedError>,
) {
    todo!("{out:?} {udp_size} {dnssec_ok} {rcode:?} {error:?}")
}
