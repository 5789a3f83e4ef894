//! Name compression (RFC 1035 section 4.1.4) of a response that arrived without any.
//!
//! CoreDNS compresses only what would not fit otherwise, and over TCP everything fits. Stored like
//! that, 512 octets would hold half the addresses that they can.

use crate::header::{Class, HEADER_LEN, RecordType};
use crate::octets::u16_at;
use crate::record::{RdataLayout, record_end};

/// Pointers have 14 bits.
const MAX_POINTER: usize = 0x3fff;

/// Names, counted with each of their suffixes, that are remembered as pointer targets. Names that
/// repeat in a message are among its first.
const MAX_TARGETS: usize = 64;

/// Compresses the names of `packet`, none of which has a pointer: a suffix that equals an earlier
/// one becomes a pointer. Applies to owners, and to names in RDATA of the types that RFC 3597
/// section 4 allows; the latter keep the case of each letter. Returns the octets and the positions
/// of the TTLs.
pub(super) fn names(packet: &[u8], question_end: usize, ttls: &[u16]) -> Option<(Vec<u8>, Vec<u16>)> {
    let mut compressor = Compressor::new(packet, question_end)?;
    let mut compressed_ttls = Vec::with_capacity(ttls.len());
    let mut at = question_end;
    for ttl in ttls.iter().map(|ttl| usize::from(*ttl)) {
        let end = record_end(packet, u16::try_from(ttl).ok()?);
        compressor.name(at, Case::Ignored)?;
        compressed_ttls.push(u16::try_from(compressor.out.len() + 4).ok()?);
        compressor.record(ttl.checked_sub(4)?, end)?;
        at = end;
    }
    Some((compressor.out, compressed_ttls))
}

/// Whether a pointer may lead to the same name in another case.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Ignored,
    Preserved,
}

/// A name, or the suffix of one, that was written and may be pointed at.
struct Target {
    hash: u32,
    /// Position in the original message.
    original_at: usize,
    /// Position in the compressed message.
    at: usize,
    /// Written in its original case. The question is not: it is replaced by the client's.
    preserves_case: bool,
}

struct Compressor<'p> {
    packet: &'p [u8],
    out: Vec<u8>,
    targets: Vec<Target>,
    /// The labels of the current name: their positions, and the hash of the suffix from there.
    labels: Vec<(usize, u32)>,
}

impl<'p> Compressor<'p> {
    fn new(packet: &'p [u8], question_end: usize) -> Option<Self> {
        let mut out = Vec::with_capacity(packet.len());
        out.extend_from_slice(packet.get(..question_end)?);
        let mut compressor =
            Self { packet, out, targets: Vec::with_capacity(MAX_TARGETS), labels: Vec::new() };
        compressor.split(HEADER_LEN)?;
        let qname = compressor.labels.iter();
        let targets = qname.map(|&(at, hash)| Target { hash, original_at: at, at, preserves_case: false });
        compressor.targets.extend(targets.take(MAX_TARGETS));
        Some(compressor)
    }

    /// Finds the labels of the name at `start`. Returns the end of the name.
    fn split(&mut self, start: usize) -> Option<usize> {
        self.labels.clear();
        let mut at = start;
        loop {
            match *self.packet.get(at)? {
                0 => break,
                len => {
                    self.labels.push((at, 0));
                    at += 1 + usize::from(len);
                }
            }
        }
        // FNV-1a from the last label to the first: a suffix has the same hash in every name.
        let (mut hash, mut end) = (0x811c_9dc5_u32, at);
        for (label_at, suffix_hash) in self.labels.iter_mut().rev() {
            for octet in self.packet.get(*label_at..end)? {
                hash = (hash ^ u32::from(octet.to_ascii_lowercase())).wrapping_mul(0x0100_0193);
            }
            (*suffix_hash, end) = (hash, *label_at);
        }
        Some(at + 1)
    }

    /// Writes the name at `start`. Returns its end in the original message.
    fn name(&mut self, start: usize, case: Case) -> Option<usize> {
        let end = self.split(start)?;
        let labels = std::mem::take(&mut self.labels);
        let find = |&(at, hash): &(usize, u32)| self.find(self.packet.get(at..end)?, hash, case);
        let suffix = (0..).zip(&labels).find_map(|(count, label)| Some((count, find(label)?)));
        let (literal_labels, pointer) =
            suffix.map_or((labels.len(), None), |(count, target)| (count, Some(target)));
        let preserves_case = pointer.is_none_or(|(_, preserves_case)| preserves_case);
        for &(label_at, hash) in labels.get(..literal_labels)? {
            let at = self.out.len();
            if at <= MAX_POINTER && self.targets.len() < MAX_TARGETS {
                self.targets.push(Target { hash, original_at: label_at, at, preserves_case });
            }
            let len = usize::from(*self.packet.get(label_at)?);
            self.out.extend_from_slice(self.packet.get(label_at..label_at + 1 + len)?);
        }
        match pointer {
            None => self.out.push(0),
            Some((at, _)) => {
                self.out.extend_from_slice(&(0xc000 | u16::try_from(at).ok()?).to_be_bytes());
            }
        }
        self.labels = labels;
        Some(end)
    }

    /// The position at which `name` was written, and whether in its own case.
    fn find(&self, name: &[u8], hash: u32, case: Case) -> Option<(usize, bool)> {
        let original = |target: &Target| self.packet.get(target.original_at..target.original_at + name.len());
        let is_same = |target: &&Target| {
            let Some(other) = original(target) else { return false };
            match case {
                Case::Ignored => name.eq_ignore_ascii_case(other),
                Case::Preserved => target.preserves_case && name == other,
            }
        };
        let found = self.targets.iter().filter(|target| target.hash == hash).find(is_same)?;
        Some((found.at, found.preserves_case && original(found) == Some(name)))
    }

    /// Writes a record without its owner: from its type at `type_at` to `end`.
    fn record(&mut self, type_at: usize, end: usize) -> Option<()> {
        let rtype = RecordType(u16_at(self.packet, type_at)?);
        let layout = RdataLayout::of(rtype, Class(u16_at(self.packet, type_at + 2)?));
        if !is_compressible(rtype) {
            self.out.extend_from_slice(self.packet.get(type_at..end)?);
            return Some(());
        }
        let rdata = type_at + 10;
        let mut at = layout.names_at(self.packet, rdata)?;
        self.out.extend_from_slice(self.packet.get(type_at..at)?);
        let rdata_out = self.out.len() - (at - rdata);
        for _ in 0..layout.names {
            at = self.name(at, Case::Preserved)?;
        }
        self.out.extend_from_slice(self.packet.get(at..end)?);
        let length = u16::try_from(self.out.len() - rdata_out).ok()?;
        self.out.get_mut(rdata_out - 2..rdata_out)?.copy_from_slice(&length.to_be_bytes());
        Some(())
    }
}

/// The types of RFC 1035 with names in RDATA, which every receiver decompresses (RFC 3597 section
/// 4).
fn is_compressible(rtype: RecordType) -> bool {
    matches!(rtype.0, 2..=9 | 12 | 14 | 15)
}
