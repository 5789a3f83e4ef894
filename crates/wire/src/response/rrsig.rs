//! Validity periods of RRSIG records (RFC 4034 section 3.1). Signatures are not verified.

use crate::header::RecordType;
use crate::octets::{u16_at, u32_at};
use crate::record::TTL_LEN;

/// Offset in RDATA: type covered, algorithm, labels and original TTL precede the expiration.
const EXPIRATION: usize = 8;
/// Offset in RDATA.
const INCEPTION: usize = 12;

/// True when `time` lies in the validity period of each RRSIG among the records whose TTLs are at
/// `ttls`.
pub(super) fn all_valid_at(packet: &[u8], ttls: &[u16], time: u64) -> bool {
    let Some(time) = u32::try_from(time & u64::from(u32::MAX)).ok() else { return false };
    ttls.iter().map(|ttl| usize::from(*ttl)).filter(|ttl| is_rrsig(packet, *ttl)).all(|ttl| {
        let rdata = ttl + TTL_LEN + 2;
        let period = u32_at(packet, rdata + INCEPTION).zip(u32_at(packet, rdata + EXPIRATION));
        period.is_some_and(|(inception, expiration)| {
            !is_before(time, inception) && !is_before(expiration, time)
        })
    })
}

/// Type and class precede the TTL.
fn is_rrsig(packet: &[u8], ttl: usize) -> bool {
    ttl.checked_sub(4).and_then(|at| u16_at(packet, at)) == Some(RecordType::RRSIG.0)
}

/// Serial number arithmetic (RFC 1982 section 3.2).
fn is_before(one: u32, other: u32) -> bool {
    one != other && other.wrapping_sub(one) < 1 << 31
}
