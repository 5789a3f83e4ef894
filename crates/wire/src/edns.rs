//! EDNS: the OPT pseudo record (RFC 6891 section 6), extended errors (RFC 8914), edns-tcp-keepalive
//! (RFC 7828), NSID (RFC 5001).
//!
//! OPT is hop by hop: a client's is never forwarded; clients and upstreams get one of our own.

use std::time::Duration;

use crate::header::{Class, Rcode, RecordType};
use crate::octets::u16_at;
use crate::record::Record;

/// Octets of an OPT record without options: root name, type, size, extended flags, RDLENGTH.
pub const OPT_LEN: usize = 11;

/// Default UDP payload size to clients and upstreams: no fragmentation on any link (RFC 9715
/// section 3.1).
pub const DEFAULT_UDP_SIZE: u16 = 1232;

/// The OPT of a received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    /// The sender's UDP payload size as sent, 0..=65535; below 512 counts as 512 (RFC 6891 section
    /// 6.2.3).
    pub udp_size: u16,
    /// EDNS version; only 0 exists.
    pub version: u8,
    /// DO: the sender wants DNSSEC records (RFC 3225).
    pub dnssec_ok: bool,
    /// Octets of data in the edns-tcp-keepalive option, if present: 0 in a valid query (RFC 7828
    /// section 3.2.1). Ignored over UDP.
    pub keepalive_len: Option<u16>,
    /// The NSID option is present: the client asks for the identifier of the server (RFC 5001).
    pub wants_nsid: bool,
}

/// The idle timeout of a connection, in units of 100 ms (RFC 7828 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive(pub u16);

impl Keepalive {
    /// Saturates at 6,553.5 s, the largest value of the option.
    pub fn of(idle: Duration) -> Self {
        Self(u16::try_from(idle.as_millis() / 100).unwrap_or(u16::MAX))
    }
}

/// An OPT record to send; DO and the extended response code are added when it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptRecord {
    /// The UDP payload size.
    pub udp_size: u16,
    /// The extended DNS error (RFC 8914).
    pub error: Option<ExtendedError>,
    /// The idle timeout of this connection.
    pub keepalive: Option<Keepalive>,
}

impl OptRecord {
    /// [`DEFAULT_UDP_SIZE`] and no options.
    pub const DEFAULT: Self = Self { udp_size: DEFAULT_UDP_SIZE, error: None, keepalive: None };

    /// Octets of the record.
    pub fn wire_len(&self) -> usize {
        OPT_LEN + usize::from(self.options_len())
    }

    fn options_len(&self) -> u16 {
        let present = [self.error.is_some(), self.keepalive.is_some()];
        present.into_iter().filter(|present| *present).map(|_| SHORT_OPTION_LEN).sum()
    }
}

/// An extended DNS error code (RFC 8914 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedError(pub u16);

impl ExtendedError {
    /// Stale Answer: a positive answer past its TTL.
    pub const STALE_ANSWER: Self = Self(3);
    /// Blocked: by a policy of the operator.
    pub const BLOCKED: Self = Self(15);
    /// Filtered: by a policy that the client is taken to want.
    pub const FILTERED: Self = Self(17);
    /// Stale NXDOMAIN Answer: an NXDOMAIN past its TTL.
    pub const STALE_NXDOMAIN_ANSWER: Self = Self(19);
    /// Cached Error: SERVFAIL from the cache.
    pub const CACHED_ERROR: Self = Self(13);
    /// No Reachable Authority: no upstream was reachable.
    pub const NO_REACHABLE_AUTHORITY: Self = Self(22);
    /// Network Error: communication with an upstream failed.
    pub const NETWORK_ERROR: Self = Self(23);
}

/// Octets of an option with two octets of data; all of ours have this size.
const SHORT_OPTION_LEN: u16 = 6;

/// Octets of an option's code and length (RFC 6891 section 6.1.2).
const OPTION_HEADER_LEN: usize = 4;

/// Option code of NSID (RFC 5001 section 2.3).
const NSID: u16 = 3;
/// Option code of edns-tcp-keepalive (RFC 7828 section 3.1).
const TCP_KEEPALIVE: u16 = 11;
/// Option code of the extended DNS error (RFC 8914 section 2).
const EXTENDED_ERROR: u16 = 15;

/// DO among the sixteen extended flags (RFC 3225 section 3).
const DNSSEC_OK: u16 = 0x8000;

/// Appends an OPT record of version 0: `opt`, DO, and the upper eight bits of `rcode`.
pub fn push_opt(out: &mut Vec<u8>, opt: OptRecord, dnssec_ok: bool, rcode: Rcode) {
    let [_, extended_rcode] = (rcode.0 >> 4).to_be_bytes();
    let flags = if dnssec_ok { DNSSEC_OK } else { 0 };
    out.push(0);
    out.extend_from_slice(&RecordType::OPT.0.to_be_bytes());
    out.extend_from_slice(&opt.udp_size.to_be_bytes());
    out.extend_from_slice(&[extended_rcode, 0]);
    out.extend_from_slice(&flags.to_be_bytes());
    out.extend_from_slice(&opt.options_len().to_be_bytes());
    if let Some(ExtendedError(code)) = opt.error {
        push_option(out, EXTENDED_ERROR, code);
    }
    if let Some(Keepalive(tenths)) = opt.keepalive {
        push_option(out, TCP_KEEPALIVE, tenths);
    }
}

/// Appends encoded options to the OPT record without options at the end of `out`; none if they are
/// too long.
pub(crate) fn push_options(out: &mut Vec<u8>, options: &[u8]) {
    let (Ok(length), Some(at)) = (u16::try_from(options.len()), out.len().checked_sub(2)) else { return };
    if let Some(rdlength) = out.get_mut(at..) {
        rdlength.copy_from_slice(&length.to_be_bytes());
        out.extend_from_slice(options);
    }
}

fn push_option(out: &mut Vec<u8>, code: u16, value: u16) {
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(&[0, 2]);
    out.extend_from_slice(&value.to_be_bytes());
}

/// Octets that [`append_nsid`] appends.
pub fn nsid_len(nsid: &[u8]) -> usize {
    OPTION_HEADER_LEN + nsid.len()
}

/// Appends an NSID option (RFC 5001) to a message that ends with `opt`, and with nothing behind it.
/// `nsid` is shorter than an OPT record can be.
pub fn append_nsid(message: &mut Vec<u8>, opt: OptRecord, nsid: &[u8]) {
    let options_len = usize::from(opt.options_len());
    let rdlength = options_len + nsid_len(nsid);
    let at = message.len().checked_sub(options_len + 2);
    let octets = at.and_then(|at| message.get_mut(at..at + 2));
    let lengths = u16::try_from(rdlength).ok().zip(u16::try_from(nsid.len()).ok());
    let (Some(octets), Some((rdlength, len))) = (octets, lengths) else { return };
    octets.copy_from_slice(&rdlength.to_be_bytes());
    message.extend_from_slice(&NSID.to_be_bytes());
    message.extend_from_slice(&len.to_be_bytes());
    message.extend_from_slice(nsid);
}

/// The extended error in the validated OPT record `opt` of `packet`; the first one.
pub(crate) fn extended_error(packet: &[u8], opt: &Record) -> Option<ExtendedError> {
    let mut option = opt.rdata;
    while option < opt.end {
        let (code, len) = (u16_at(packet, option)?, u16_at(packet, option + 2)?);
        let data = option + OPTION_HEADER_LEN;
        if code == EXTENDED_ERROR {
            return u16_at(packet, data).filter(|_| len >= 2).map(ExtendedError);
        }
        option = data + usize::from(len);
    }
    None
}

/// Parses the OPT record `opt` of `packet`. Returns the response code of twelve bits, whose `low`
/// four are the header's. Nothing when an option exceeds the record.
pub(crate) fn read(packet: &[u8], opt: &Record, low: Rcode) -> Option<(Edns, Rcode)> {
    let mut option = opt.rdata;
    let (mut keepalive_len, mut wants_nsid) = (None, false);
    while option < opt.end {
        let (code, len) = (u16_at(packet, option)?, u16_at(packet, option + 2)?);
        if code == TCP_KEEPALIVE {
            keepalive_len = keepalive_len.max(Some(len));
        }
        wants_nsid |= code == NSID;
        option += OPTION_HEADER_LEN + usize::from(len);
    }
    if option != opt.end {
        return None;
    }
    let Class(udp_size) = opt.class;
    let [extended_rcode, version, flags, _] = opt.ttl.to_be_bytes();
    let edns = Edns { udp_size, version, dnssec_ok: flags & 0x80 != 0, keepalive_len, wants_nsid };
    Some((edns, Rcode(u16::from(extended_rcode) << 4 | low.0)))
}
