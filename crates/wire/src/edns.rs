//! OPT, the pseudo record of EDNS (RFC 6891 section 6), and the extended error it may carry (RFC 8914).
//!
//! It is hop by hop: what a client sent is never passed on, and both sides get one of our own making.

use std::time::Duration;

use crate::header::{Class, Rcode, RecordType};
use crate::octets::u16_at;
use crate::record::Record;

/// Octets of an OPT record without options: root name, type, size, extended flags, RDLENGTH.
pub const OPT_LEN: usize = 11;

/// UDP payload size we advertise and stay within on both sides, unless told otherwise: no fragments on any link
/// (RFC 9715 section 3.1).
pub const DEFAULT_UDP_SIZE: u16 = 1232;

/// What a message's OPT says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    /// The sender's UDP payload size as sent, 0..=65535; below 512 counts as 512 (RFC 6891 section 6.2.3).
    pub udp_size: u16,
    /// EDNS version; only 0 exists.
    pub version: u8,
    /// DO: the sender wants DNSSEC records (RFC 3225).
    pub dnssec_ok: bool,
    /// Octets of data in its edns-tcp-keepalive option, if it sent one: none in a sound query (RFC 7828 section
    /// 3.2.1). Over UDP the option means nothing.
    pub keepalive_len: Option<u16>,
}

/// How long an idle connection is kept, in tenths of a second (RFC 7828 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive(pub u16);

impl Keepalive {
    /// As much of `idle` as the option can say: 6,553.5 s at most.
    pub fn of(idle: Duration) -> Self {
        Self(u16::try_from(idle.as_millis() / 100).unwrap_or(u16::MAX))
    }
}

/// What an OPT of ours says beside DO and the response code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptRecord {
    /// The UDP payload size.
    pub udp_size: u16,
    /// Why there is no better answer (RFC 8914).
    pub error: Option<ExtendedError>,
    /// How long this connection is kept.
    pub keepalive: Option<Keepalive>,
}

impl OptRecord {
    /// [`DEFAULT_UDP_SIZE`] and no options.
    pub const DEFAULT: Self = Self { udp_size: DEFAULT_UDP_SIZE, error: None, keepalive: None };

    /// Octets of the record.
    pub fn octets(&self) -> usize {
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

/// Octets of an option with two octets of data, as all of ours are.
const SHORT_OPTION_LEN: u16 = 6;

/// The option that says how long a connection is kept (RFC 7828 section 3.1).
const TCP_KEEPALIVE: u16 = 11;
/// The option that carries an extended error (RFC 8914 section 2).
const EXTENDED_ERROR: u16 = 15;

/// DO among the sixteen extended flags (RFC 3225 section 3).
const DNSSEC_OK: u16 = 0x8000;

/// Appends an OPT record of version 0: what `opt` says, `dnssec_ok`, and the upper eight bits of `rcode`.
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

fn push_option(out: &mut Vec<u8>, code: u16, value: u16) {
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(&[0, 2]);
    out.extend_from_slice(&value.to_be_bytes());
}

/// What the OPT record `opt` of `packet` says, and the response code with its eight more bits on top of the
/// header's `low` four. Nothing when an option is longer than the record.
pub(crate) fn read(packet: &[u8], opt: &Record, low: Rcode) -> Option<(Edns, Rcode)> {
    let mut option = opt.rdata;
    let mut keepalive_len = None;
    while option < opt.end {
        let (code, len) = (u16_at(packet, option)?, u16_at(packet, option + 2)?);
        if code == TCP_KEEPALIVE {
            keepalive_len = keepalive_len.max(Some(len));
        }
        option = option + 4 + usize::from(len);
    }
    if option != opt.end {
        return None;
    }
    let Class(udp_size) = opt.class;
    let [extended_rcode, version, flags, _] = opt.ttl.to_be_bytes();
    let edns = Edns { udp_size, version, dnssec_ok: flags & 0x80 != 0, keepalive_len };
    Some((edns, Rcode(u16::from(extended_rcode) << 4 | low.0)))
}
