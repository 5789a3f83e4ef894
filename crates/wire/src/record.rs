//! Resource records in a packet (RFC 1035 section 4.1.3), parsed once from front to back.
//!
//! A parsed packet is cached and later sent with other TTLs, another ID and other flags. A name
//! whose compression pointer leads into any of those octets is rejected: it would change with them.

mod rdata;

use crate::header::{Class, HEADER_LEN, RecordType};
use crate::name::MAX_NAME_LEN;
use crate::name::compressed::name_end;
use crate::octets::u16_at;

pub(crate) use rdata::RdataLayout;

/// Compression pointers that one name may follow. A name has at most 127 labels, the root included.
const MAX_POINTERS: usize = 126;

/// Decompression steps allowed per octet of the message. Thousands of addresses at a name of 32
/// labels stay below it.
const STEPS_PER_OCTET: usize = 2;

/// Decompression steps allowed in any message: a few dozen records at a name of maximum length.
const FREE_STEPS: usize = 4096;

/// Octets of a TTL.
pub(crate) const TTL_LEN: usize = 4;

/// One record; positions are offsets into its packet.
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
    /// Reads the record whose owner name is `owner..owner_end`. RDATA must lie inside the packet.
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

    /// Reads the record at `owner` of a validated packet.
    pub(crate) fn read_validated(packet: &[u8], owner: usize) -> Option<Self> {
        Self::read(packet, owner, name_end(packet, owner)?)
    }
}

/// Parses and validates the sections after the question.
#[derive(Debug)]
pub(crate) struct RecordParser<'p> {
    packet: &'p [u8],
    /// The position of the next record.
    pub(crate) at: usize,
    /// The positions of the TTLs of all records but OPT, in order.
    pub(crate) ttls: Vec<u16>,
    /// The smallest of those TTLs.
    pub(crate) min_ttl: Option<u32>,
    /// The OPT record of the additional section.
    pub(crate) opt: Option<Record>,
    /// Indices of the OPT records in other sections, where they are not allowed (RFC 6891 section
    /// 6.1.1).
    pub(crate) misplaced_opts: Vec<u16>,
    /// Compression pointers followed so far, and labels read after them. A message with too many
    /// for its size, which no server sends, is malformed: the cost of parsing, here and later, is
    /// linear in the size.
    pub(crate) decompression_steps: usize,
}

impl<'p> RecordParser<'p> {
    pub(crate) fn new(packet: &'p [u8], question_end: usize) -> Self {
        Self {
            packet,
            at: question_end,
            ttls: Vec::new(),
            min_ttl: None,
            opt: None,
            misplaced_opts: Vec::new(),
            decompression_steps: 0,
        }
    }

    /// Parses the `count` records of the answer or the authority section and passes each to
    /// `visit`.
    pub(crate) fn section(&mut self, count: u16, mut visit: impl FnMut(&Record)) -> Option<()> {
        for _ in 0..count {
            let record = self.record()?;
            if record.rtype == RecordType::OPT {
                let index = self.ttls.len() + self.misplaced_opts.len();
                self.misplaced_opts.push(u16::try_from(index).ok()?);
            }
            visit(&record);
        }
        Some(())
    }

    /// Parses the `count` records of the additional section, where OPT is allowed once, with the
    /// root as owner (RFC 6891 sections 6.1.1 and 6.1.2).
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

    /// Validates the names in RDATA of the types in which names may be compressed (RFC 3597 section
    /// 4), and of types whose names clients commonly decode.
    fn rdata(&mut self, record: &Record) -> Option<()> {
        let layout = RdataLayout::of(record.rtype, record.class);
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

    /// Validates the name at `at`. Each compression pointer must lead to before everything that was
    /// read of the name so far (RFC 1035 section 4.1.4). Returns the end of the name in place.
    fn name(&mut self, at: usize) -> Option<usize> {
        let (mut segment, mut limit, mut cursor) = (at, self.packet.len(), at);
        let (mut len, mut pointers, mut end) = (0, 0, None);
        loop {
            match *self.packet.get(cursor)? {
                octet @ 0..=0x3f => {
                    cursor += 1 + usize::from(octet);
                    len += 1 + usize::from(octet);
                    self.decompression_steps += usize::from(pointers > 0);
                    if len > MAX_NAME_LEN || cursor > limit {
                        return None;
                    }
                    if octet == 0 {
                        return self.avoids_ttls(segment, cursor, pointers).then(|| end.unwrap_or(cursor));
                    }
                }
                0xc0.. => {
                    let target = usize::from(u16_at(self.packet, cursor)? & 0x3fff);
                    cursor += 2;
                    if target >= segment
                        || target < HEADER_LEN
                        || pointers == MAX_POINTERS
                        || self.decompression_steps > STEPS_PER_OCTET * self.packet.len() + FREE_STEPS
                        || cursor > limit
                    {
                        return None;
                    }
                    if !self.avoids_ttls(segment, cursor, pointers) {
                        return None;
                    }
                    end = end.or(Some(cursor));
                    pointers += 1;
                    self.decompression_steps += 1;
                    (limit, segment, cursor) = (segment, target, target);
                }
                _ => return None,
            }
        }
    }

    /// True when no TTL lies in the octets `start..end` that a name reads after `pointers`
    /// pointers.
    fn avoids_ttls(&self, start: usize, end: usize, pointers: usize) -> bool {
        if pointers == 0 || self.ttls.first().is_none_or(|first| end <= usize::from(*first)) {
            return true;
        }
        let next = self.ttls.partition_point(|ttl| usize::from(*ttl) + TTL_LEN <= start);
        self.ttls.get(next).is_none_or(|ttl| usize::from(*ttl) >= end)
    }
}

/// The end of the record whose TTL is at `ttl`: RDLENGTH and RDATA follow the TTL.
pub(crate) fn record_end(packet: &[u8], ttl: u16) -> usize {
    let rdlength = usize::from(ttl) + TTL_LEN;
    rdlength + 2 + usize::from(u16_at(packet, rdlength).unwrap_or_default())
}
