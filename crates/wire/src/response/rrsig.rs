//! The validity periods of RRSIG records (RFC 4034 section 3.1).

use crate::header::RecordType;
use crate::octets::{u16_at, u32_at};
use crate::record::TTL_LEN;

/// Type covered, algorithm, labels and original TTL stand before the expiration.
const EXPIRATION: usize = 8;
/// Behind the expiration.
const INCEPTION: usize = 12;

/// True when no RRSIG among the records with their TTLs at `ttls` lies outside its validity period.
pub(super) fn hold(packet: &[u8], ttls: &[u16], time: u64) -> bool {
    let Some(time) = u32::try_from(time & u64::from(u32::MAX)).ok() else { return false };
    ttls.iter().map(|ttl| usize::from(*ttl)).filter(|ttl| is_signature(packet, *ttl)).all(|ttl| {
        let rdata = ttl + TTL_LEN + 2;
        let bounds = u32_at(packet, rdata + INCEPTION).zip(u32_at(packet, rdata + EXPIRATION));
        bounds.is_some_and(|(inception, expiration)| {
            !is_before(time, inception) && !is_before(expiration, time)
        })
    })
}

/// Type and class stand before the TTL.
fn is_signature(packet: &[u8], ttl: usize) -> bool {
    ttl.checked_sub(4).and_then(|at| u16_at(packet, at)) == Some(RecordType::RRSIG.0)
}

/// Serial number order (RFC 1982 section 3.2).
fn is_before(one: u32, other: u32) -> bool {
    one != other && other.wrapping_sub(one) < 1 << 31
}
