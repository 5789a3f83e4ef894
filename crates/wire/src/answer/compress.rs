//! Shorter names for an answer that came without any compression (RFC 1035 section 4.1.4).
//!
//! CoreDNS compresses only what would not fit otherwise, and over TCP all fits. Kept so, 512 octets would tell
//! a client half the addresses they could.

use crate::header::{Class, HEADER_LEN, RecordType};
use crate::octets::u16_at;
use crate::record::{Layout, record_end};

/// Pointers reach this far.
const MAX_POINTER: usize = 0x3fff;

/// Names remembered for pointing at, with each of their ends counted: what repeats in a message is among its first.
const MOST_KNOWN: usize = 64;

/// The message `packet`, in which no name has a pointer, with shorter names: what a name ends with and an earlier one
/// does too becomes a pointer. So it is with owners, and with names in RDATA of the types that RFC 3597 section 4 lets
/// be compressed; the latter keep the case of each letter. Returns the octets and where the TTLs are in them.
pub(super) fn names(packet: &[u8], question_end: usize, ttls: &[u16]) -> Option<(Vec<u8>, Vec<u16>)> {
    let mut writer = Writer::new(packet, question_end)?;
    let mut shorter_ttls = Vec::with_capacity(ttls.len());
    let mut at = question_end;
    for ttl in ttls.iter().map(|ttl| usize::from(*ttl)) {
        let end = record_end(packet, u16::try_from(ttl).ok()?);
        writer.name(at, Letters::Any)?;
        shorter_ttls.push(u16::try_from(writer.out.len() + 4).ok()?);
        writer.record(ttl.checked_sub(4)?, end)?;
        at = end;
    }
    Some((writer.out, shorter_ttls))
}

/// Whether a pointer may lead to the same name in other letters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Letters {
    Any,
    Same,
}

/// A name that was written, or the end of one.
struct Known {
    hash: u32,
    /// Where it is in the message as it came.
    from: usize,
    /// Where it is in the shorter one.
    at: usize,
    /// Its letters are there as they came. Those of the question are the client's.
    is_literal: bool,
}

struct Writer<'p> {
    packet: &'p [u8],
    out: Vec<u8>,
    known: Vec<Known>,
    /// Where the labels of the name at hand begin, and the hash of the name from there to its end.
    labels: Vec<(usize, u32)>,
}

impl<'p> Writer<'p> {
    fn new(packet: &'p [u8], question_end: usize) -> Option<Self> {
        let mut out = Vec::with_capacity(packet.len());
        out.extend_from_slice(packet.get(..question_end)?);
        let mut writer = Self { packet, out, known: Vec::with_capacity(MOST_KNOWN), labels: Vec::new() };
        writer.split(HEADER_LEN)?;
        let asked = writer.labels.iter();
        let known = asked.map(|&(at, hash)| Known { hash, from: at, at, is_literal: false });
        writer.known.extend(known.take(MOST_KNOWN));
        Some(writer)
    }

    /// Finds the labels of the name at `from`; says where it ends.
    fn split(&mut self, from: usize) -> Option<usize> {
        self.labels.clear();
        let mut at = from;
        loop {
            match *self.packet.get(at)? {
                0 => break,
                len => {
                    self.labels.push((at, 0));
                    at += 1 + usize::from(len);
                }
            }
        }
        // FNV-1a from the last label to the first: an end of a name has the same hash wherever it stands.
        let (mut hash, mut end) = (0x811c_9dc5_u32, at);
        for (start, place) in self.labels.iter_mut().rev() {
            for octet in self.packet.get(*start..end)? {
                hash = (hash ^ u32::from(octet.to_ascii_lowercase())).wrapping_mul(0x0100_0193);
            }
            (*place, end) = (hash, *start);
        }
        Some(at + 1)
    }

    /// Writes the name at `from`; says where it ends in the message as it came.
    fn name(&mut self, from: usize, letters: Letters) -> Option<usize> {
        let end = self.split(from)?;
        let labels = std::mem::take(&mut self.labels);
        let find = |&(at, hash): &(usize, u32)| self.find(self.packet.get(at..end)?, hash, letters);
        let tail = (0..).zip(&labels).find_map(|(own, label)| Some((own, find(label)?)));
        let (own, pointer) = tail.map_or((labels.len(), None), |(own, known)| (own, Some(known)));
        let is_literal = pointer.is_none_or(|(_, is_literal)| is_literal);
        for &(start, hash) in labels.get(..own)? {
            let at = self.out.len();
            if at <= MAX_POINTER && self.known.len() < MOST_KNOWN {
                self.known.push(Known { hash, from: start, at, is_literal });
            }
            let len = usize::from(*self.packet.get(start)?);
            self.out.extend_from_slice(self.packet.get(start..start + 1 + len)?);
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

    /// Where `name` was written, and whether in its own letters.
    fn find(&self, name: &[u8], hash: u32, letters: Letters) -> Option<(usize, bool)> {
        let is_same = |known: &&Known| {
            let Some(other) = self.packet.get(known.from..known.from + name.len()) else { return false };
            match letters {
                Letters::Any => name.eq_ignore_ascii_case(other),
                Letters::Same => known.is_literal && name == other,
            }
        };
        let found = self.known.iter().filter(|known| known.hash == hash).find(is_same)?;
        Some((
            found.at,
            found.is_literal && self.packet.get(found.from..found.from + name.len()) == Some(name),
        ))
    }

    /// Writes what follows the owner of a record: from `fixed`, its type, to `end`.
    fn record(&mut self, fixed: usize, end: usize) -> Option<()> {
        let rtype = RecordType(u16_at(self.packet, fixed)?);
        let layout = Layout::of(rtype, Class(u16_at(self.packet, fixed + 2)?));
        if !is_compressible(rtype) {
            self.out.extend_from_slice(self.packet.get(fixed..end)?);
            return Some(());
        }
        let rdata = fixed + 10;
        let mut at = layout.names_at(self.packet, rdata)?;
        self.out.extend_from_slice(self.packet.get(fixed..at)?);
        let rdata_out = self.out.len() - (at - rdata);
        for _ in 0..layout.names() {
            at = self.name(at, Letters::Same)?;
        }
        self.out.extend_from_slice(self.packet.get(at..end)?);
        let length = u16::try_from(self.out.len() - rdata_out).ok()?;
        self.out.get_mut(rdata_out - 2..rdata_out)?.copy_from_slice(&length.to_be_bytes());
        Some(())
    }
}

/// The types of RFC 1035 with names in their RDATA, which every receiver knows how to expand (RFC 3597 section 4).
fn is_compressible(rtype: RecordType) -> bool {
    matches!(rtype.0, 2..=9 | 12 | 14 | 15)
}
