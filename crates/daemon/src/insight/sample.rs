//! A sampled response.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use resolver::action::ResponseSource;
use wire::header::{Rcode, RecordType};

/// A response that stands for `weight` responses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample<'a> {
    pub(super) client: IpAddr,
    /// QNAME in wire form, in any case.
    pub(super) name: &'a [u8],
    pub(super) qtype: RecordType,
    pub(super) rcode: Rcode,
    pub(super) source: ResponseSource,
    /// From the arrival of the query.
    pub(super) duration: Duration,
    pub(super) now: Instant,
    pub(super) weight: u32,
}
