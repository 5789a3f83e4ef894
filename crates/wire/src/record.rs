//! Resource records in a packet (RFC 1035 section 4.1.3), parsed once from front to back.
//!
//! A parsed packet is cached and later sent with other TTLs, another ID and other flags. A name
//! whose compression pointer leads into any of those octets is rejected: it would change with them.

mod rdata;

use crate::header::{Class, HEADER_LEN, RecordType};
use crate::name::MAX_NAME_LEN;
use crate::name::compressed::name_end;
use crate::octets::u16_at;

pub(crate) use rdata::{is_compressible, visit_names};

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

/// A section after the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Answer,
    Authority,
    Additional,
}

/// Parses and validates the sections after the question.
#[derive(Debug)]
pub(crate) struct RecordParser<'p> {
    pub(crate) packet: &'p [u8],
    qclass: Class,
    /// The position of the next record.
    pub(crate) at: usize,
    /// The index of the next record.
    index: u16,
    /// The positions of the TTLs of all records but OPT, in order.
    pub(crate) ttls: Vec<u16>,
    /// The smallest of those TTLs.
    pub(crate) min_ttl: Option<u32>,
    /// The OPT record of the additional section.
    pub(crate) opt: Option<Record>,
    /// OPT is outside the additional section (RFC 6891 section 6.1.1).
    pub(crate) has_misplaced_opt: bool,
    /// Another record follows OPT.
    pub(crate) is_opt_followed: bool,
    /// Indices of records that no response has: misplaced OPT, TSIG and other meta types, a class
    /// that is not the question's, and outside the answer section RDATA that does not have the
    /// format of its type.
    pub(crate) invalid: Vec<u16>,
    /// A name in RDATA is compressed that may not be (RFC 3597 section 4).
    pub(crate) has_compressed_rdata: bool,
    /// Compression pointers followed so far, and labels read after them. A message with too many
    /// for its size, which no server sends, is malformed: the cost of parsing, here and later, is
    /// linear in the size.
    pub(crate) decompression_steps: usize,
    max_steps: usize,
    /// Octets that the names read so far have in addition without compression; negative with pointers
    /// to the root.
    pub(crate) saved_octets: isize,
}

impl<'p> RecordParser<'p> {
    /// `question_end` is the end of the question, which ends with QCLASS.
    pub(crate) fn new(packet: &'p [u8], question_end: usize) -> Option<Self> {
        Some(Self {
            packet,
            qclass: Class(u16_at(packet, question_end.checked_sub(2)?)?),
            at: question_end,
            index: 0,
            ttls: Vec::new(),
            min_ttl: None,
            opt: None,
            has_misplaced_opt: false,
            is_opt_followed: false,
            invalid: Vec::new(),
            has_compressed_rdata: false,
            decompression_steps: 0,
            max_steps: STEPS_PER_OCTET * packet.len() + FREE_STEPS,
            saved_octets: 0,
        })
    }

    /// For a message that this crate has written: any number of decompression steps.
    pub(crate) fn without_step_limit(self) -> Self {
        Self { max_steps: usize::MAX, ..self }
    }

    /// Parses the `count` records of a section and passes each valid one to `visit`. OPT is allowed
    /// once, in the additional section, with the root as owner (RFC 6891 sections 6.1.1 and 6.1.2).
    pub(crate) fn section(
        &mut self,
        section: Section,
        count: u16,
        mut visit: impl FnMut(&Record),
    ) -> Option<()> {
        for _ in 0..count {
            let owner_end = self.name(self.at)?;
            let record = Record::read(self.packet, self.at, owner_end)?;
            let is_valid = match record.rtype {
                RecordType::OPT if section != Section::Additional => {
                    self.has_misplaced_opt = true;
                    false
                }
                RecordType::OPT => {
                    if self.opt.is_some() || self.packet.get(record.owner) != Some(&0) {
                        return None;
                    }
                    self.opt = Some(record);
                    true
                }
                _ => {
                    self.ttl(&record)?;
                    let is_valid = self.rdata(&record).is_some();
                    if !is_valid && section == Section::Answer {
                        return None;
                    }
                    self.is_opt_followed |= self.opt.is_some();
                    is_valid && self.can_be_relayed(&record)
                }
            };
            if is_valid {
                visit(&record);
            } else {
                self.invalid.push(self.index);
            }
            self.index = self.index.checked_add(1)?;
            self.at = record.end;
        }
        Some(())
    }

    fn ttl(&mut self, record: &Record) -> Option<()> {
        self.ttls.push(u16::try_from(record.ttl_at).ok()?);
        self.min_ttl = Some(self.min_ttl.map_or(record.ttl, |least| least.min(record.ttl)));
        Some(())
    }

    /// False for records that belong to a query, a transaction (RFC 8945, RFC 2930, RFC 2931) or
    /// another class.
    fn can_be_relayed(&self, record: &Record) -> bool {
        let is_meta = match record.rtype {
            RecordType::SIG => u16_at(self.packet, record.rdata) == Some(0),
            rtype => (RecordType::TKEY..=RecordType::ANY).contains(&rtype),
        };
        let is_data_class = !matches!(record.class, Class::NONE | Class::ANY);
        let is_of_class = record.class == self.qclass || self.qclass == Class::ANY && is_data_class;
        !is_meta && is_of_class
    }

    /// Validates RDATA, its names included.
    fn rdata(&mut self, record: &Record) -> Option<()> {
        let packet = self.packet;
        let steps = self.decompression_steps;
        visit_names(packet, record, |at| self.name(at))?;
        self.has_compressed_rdata |= self.decompression_steps > steps && !is_compressible(record.rtype);
        Some(())
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
                        let end = end.unwrap_or(cursor);
                        self.saved_octets += (at + len).checked_signed_diff(end)?;
                        return self.avoids_ttls(segment, cursor, pointers).then_some(end);
                    }
                }
                0xc0.. => {
                    let target = usize::from(u16_at(self.packet, cursor)? & 0x3fff);
                    cursor += 2;
                    if target >= segment
                        || target < HEADER_LEN
                        || pointers == MAX_POINTERS
                        || self.decompression_steps > self.max_steps
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
pub(crate) fn record_end(packet: &[u8], ttl: usize) -> usize {
    let rdlength = ttl + TTL_LEN;
    rdlength + 2 + usize::from(u16_at(packet, rdlength).unwrap_or_default())
}
