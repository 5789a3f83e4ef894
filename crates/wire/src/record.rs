//! Records as they lie in a packet (RFC 1035 section 4.1.3), walked once from front to back.
//!
//! What is walked here is kept and later told with other TTLs, another ID and other flags, so a name that reads
//! any of those octets through a pointer is refused: it would not stay the same name.

mod rdata;

use crate::header::{Class, HEADER_LEN, RecordType};
use crate::name::MAX_NAME_LEN;
use crate::name::compressed::name_end;
use crate::octets::u16_at;

pub(crate) use rdata::Layout;

/// Pointers one name may go through. A name has at most 127 labels, the root among them.
const MAX_HOPS: usize = 126;

/// Pointers, and labels behind them, that a message may have for each of its octets. Thousands of addresses at a name of
/// 32 labels are below it.
const STEPS_PER_OCTET: usize = 2;

/// And this many in any message: a few dozen records at the longest name there is.
const FREE_STEPS: usize = 4096;

/// Octets of a TTL.
pub(crate) const TTL_LEN: usize = 4;

/// One record; places are offsets into its packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) owner: usize,
    pub(crate) rtype: RecordType,
    pub(crate) class: Class,
    pub(crate) ttl_at: usize,
    pub(crate) ttl: u32,
    pub(crate) rdata: usize,
    pub(crate) end: usize,
}

impl Record {
    /// Reads the record with the owner at `owner`, which ends at `owner_end`. RDATA is inside the packet.
    pub(crate) fn read(packet: &[u8], owner: usize, owner_end: usize) -> Option<Self> {
        let [t, u, c, d, l, m, n, o, r, s] = *packet.get(owner_end..)?.first_chunk::<10>()?;
        let rdata = owner_end + 10;
        let end = rdata + usize::from(u16::from_be_bytes([r, s]));
        (end <= packet.len()).then_some(Self {
            owner,
            rtype: RecordType(u16::from_be_bytes([t, u])),
            class: Class(u16::from_be_bytes([c, d])),
            ttl_at: owner_end + 4,
            ttl: u32::from_be_bytes([l, m, n, o]),
            rdata,
            end,
        })
    }

    /// Reads the record at `owner` of a packet that was walked before.
    pub(crate) fn reread(packet: &[u8], owner: usize) -> Option<Self> {
        Self::read(packet, owner, name_end(packet, owner)?)
    }
}

/// The way through the sections behind the question.
#[derive(Debug)]
pub(crate) struct Walk<'p> {
    packet: &'p [u8],
    /// Where the next record begins.
    pub(crate) at: usize,
    /// Where the TTL of each record but OPT begins, in order.
    pub(crate) ttls: Vec<u16>,
    /// The smallest TTL of those.
    pub(crate) min_ttl: Option<u32>,
    /// The OPT record.
    pub(crate) opt: Option<Record>,
    /// Pointers followed so far, and labels read behind them. Too many for the size of the message, which no server
    /// needs, make it malformed, so that the cost of reading, here and later, grows with the size alone.
    pub(crate) steps: usize,
}

impl<'p> Walk<'p> {
    pub(crate) fn new(packet: &'p [u8], question_end: usize) -> Self {
        Self { packet, at: question_end, ttls: Vec::new(), min_ttl: None, opt: None, steps: 0 }
    }

    /// Walks the `count` records of the answer or the authority section, where OPT must not be, and shows each
    /// to `see`.
    pub(crate) fn section(&mut self, count: u16, mut see: impl FnMut(&Record)) -> Option<()> {
        for _ in 0..count {
            let record = self.record()?;
            if record.rtype == RecordType::OPT {
                return None;
            }
            see(&record);
        }
        Some(())
    }

    /// Walks the `count` records of the additional section, where OPT may be once and is owned by the root
    /// (RFC 6891 sections 6.1.1 and 6.1.2).
    pub(crate) fn additional(&mut self, count: u16) -> Option<()> {
        for _ in 0..count {
            let record = self.record()?;
            if record.rtype != RecordType::OPT {
                continue;
            }
            if self.opt.is_some() || self.packet.get(record.owner) != Some(&0) {
                return None;
            }
            self.opt = Some(record);
        }
        Some(())
    }

    fn record(&mut self) -> Option<Record> {
        let owner_end = self.name(self.at)?;
        let record = Record::read(self.packet, self.at, owner_end)?;
        if record.rtype != RecordType::OPT {
            self.ttls.push(u16::try_from(record.ttl_at).ok()?);
            self.min_ttl = Some(self.min_ttl.map_or(record.ttl, |least| least.min(record.ttl)));
            self.rdata(&record)?;
        }
        self.at = record.end;
        Some(record)
    }

    /// Reads the names in the RDATA of the types that may or do have compressed ones (RFC 3597 section 4), and
    /// of those whose names clients commonly decode.
    fn rdata(&mut self, record: &Record) -> Option<()> {
        let layout = Layout::of(record.rtype, record.class);
        let mut at = layout.names_at(self.packet, record.rdata)?;
        for _ in 0..layout.names {
            at = self.name(at)?;
        }
        let fits = match layout.after {
            Some(after) => at + after == record.end,
            None => at <= record.end,
        };
        fits.then_some(())
    }

    /// Reads the name at `at` to its root, through pointers that each lead to before all that was read so far
    /// (RFC 1035 section 4.1.4), and returns where it ends in place.
    fn name(&mut self, at: usize) -> Option<usize> {
        let (mut segment, mut limit, mut cursor) = (at, self.packet.len(), at);
        let (mut len, mut hops, mut end) = (0, 0, None);
        loop {
            match *self.packet.get(cursor)? {
                octet @ 0..=0x3f => {
                    cursor += 1 + usize::from(octet);
                    len += 1 + usize::from(octet);
                    self.steps += usize::from(hops > 0);
                    if len > MAX_NAME_LEN || cursor > limit {
                        return None;
                    }
                    if octet == 0 {
                        return self.stays(segment, cursor, hops).then(|| end.unwrap_or(cursor));
                    }
                }
                0xc0.. => {
                    let target = usize::from(u16_at(self.packet, cursor)? & 0x3fff);
                    cursor += 2;
                    if target >= segment
                        || target < HEADER_LEN
                        || hops == MAX_HOPS
                        || self.steps > STEPS_PER_OCTET * self.packet.len() + FREE_STEPS
                        || cursor > limit
                    {
                        return None;
                    }
                    if !self.stays(segment, cursor, hops) {
                        return None;
                    }
                    end = end.or(Some(cursor));
                    hops += 1;
                    self.steps += 1;
                    (limit, segment, cursor) = (segment, target, target);
                }
                _ => return None,
            }
        }
    }

    /// True when no TTL lies in the octets that a name read from `start` to `end` after `hops` pointers.
    fn stays(&self, start: usize, end: usize, hops: usize) -> bool {
        if hops == 0 || self.ttls.first().is_none_or(|first| end <= usize::from(*first)) {
            return true;
        }
        let next = self.ttls.partition_point(|ttl| usize::from(*ttl) + TTL_LEN <= start);
        self.ttls.get(next).is_none_or(|ttl| usize::from(*ttl) >= end)
    }
}

/// Where the record with its TTL at `ttl` ends: RDLENGTH and RDATA follow the TTL.
pub(crate) fn record_end(packet: &[u8], ttl: u16) -> usize {
    let rdlength = usize::from(ttl) + TTL_LEN;
    rdlength + 2 + usize::from(u16_at(packet, rdlength).unwrap_or_default())
}
