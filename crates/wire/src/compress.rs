//! Writes messages with name compression (RFC 1035 section 4.1.4): responses that arrived without
//! any, and responses without some of their records.
//!
//! CoreDNS compresses only what would not fit otherwise, and over TCP everything fits. Stored like
//! that, 512 octets would hold half the addresses that they can.

use crate::header::{Flags, HEADER_LEN, Header, RecordType};
use crate::name::compressed::{equal_name, push_name, same_name};
use crate::octets::u16_at;
use crate::record::{Record, is_compressible, visit_names};

/// Pointers have 14 bits.
const MAX_POINTER: usize = 0x3fff;

/// Names, counted with each of their suffixes, that are remembered as pointer targets.
const MAX_TARGETS: usize = 1024;

/// Lists of targets, each of those with some hashes.
const LISTS: usize = 64;

/// Targets of a list that are compared: the cost per name is bounded whatever the hashes.
const MAX_COMPARED: usize = 16;

/// Compresses the names of `packet`, which has the records whose TTLs are at `ttls`: a suffix that
/// equals an earlier one becomes a pointer. Applies to owners, and to names in RDATA of the types
/// that RFC 3597 section 4 allows; the latter keep the case of each letter. Returns the octets and
/// the positions of the TTLs.
pub(crate) fn names(packet: &[u8], question_end: usize, ttls: &[u16]) -> Option<(Vec<u8>, Vec<u16>)> {
    let mut writer = Writer::new(packet, question_end)?;
    let mut written_ttls = Vec::with_capacity(ttls.len());
    let mut at = question_end;
    for _ in ttls {
        let record = Record::read_validated(packet, at)?;
        written_ttls.push(u16::try_from(writer.record(&record)?).ok()?);
        at = record.end;
    }
    Some((writer.out, written_ttls))
}

/// The validated message without the records at the indices `removed`, which ascend, and with `opt`
/// as its last record. Names are compressed as in [`names`], and written in full where they may not
/// be. If the message exceeds 65,535 octets in this form, its last records are missing, and TC is
/// set.
pub(crate) fn without(
    packet: &[u8],
    question_end: usize,
    removed: &[u16],
    opt: Option<&Record>,
) -> Option<Vec<u8>> {
    let opt = opt.map_or(Some(&[][..]), |opt| packet.get(opt.owner..opt.end))?;
    let max_len = usize::from(u16::MAX).checked_sub(opt.len())?;
    let mut header = Header::read(packet)?;
    let mut writer = Writer::new(packet, question_end)?;
    let (mut at, mut index) = (question_end, 0);
    for count in [&mut header.ancount, &mut header.nscount, &mut header.arcount] {
        for _ in 0..std::mem::take(count) {
            let record = Record::read_validated(packet, at)?;
            at = record.end;
            let is_kept = removed.binary_search(&index).is_err() && record.rtype != RecordType::OPT;
            index += 1;
            if is_kept && writer.record_within(&record, max_len) {
                *count += 1;
            }
        }
    }
    if writer.is_cut {
        header.flags = header.flags.with(Flags::TC);
    }
    header.arcount += u16::from(!opt.is_empty());
    let mut out = writer.out;
    out.extend_from_slice(opt);
    out.get_mut(..HEADER_LEN)?.copy_from_slice(&header.to_bytes());
    Some(out)
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
    /// The next target of the same list.
    next: Option<u16>,
}

struct Writer<'p> {
    packet: &'p [u8],
    out: Vec<u8>,
    targets: Vec<Target>,
    /// The first and the last target of each list.
    lists: [Option<(u16, u16)>; LISTS],
    /// The labels of the current name: their positions, and the hash of the suffix from there.
    labels: Vec<(usize, u32)>,
    /// A record did not fit.
    is_cut: bool,
}

impl<'p> Writer<'p> {
    /// Starts with the header and the question.
    fn new(packet: &'p [u8], question_end: usize) -> Option<Self> {
        let mut out = Vec::with_capacity(packet.len());
        out.extend_from_slice(packet.get(..question_end)?);
        let (targets, lists, labels) = (Vec::new(), [None; LISTS], Vec::new());
        let mut writer = Self { packet, out, targets, lists, labels, is_cut: false };
        writer.split(HEADER_LEN)?;
        let labels = std::mem::take(&mut writer.labels);
        for &(at, hash) in &labels {
            writer.add_target(Target { hash, original_at: at, at, preserves_case: false, next: None });
        }
        writer.labels = labels;
        Some(writer)
    }

    /// Writes a record unless the message would exceed `max_len` octets or a record before did not
    /// fit.
    fn record_within(&mut self, record: &Record, max_len: usize) -> bool {
        if self.is_cut {
            return false;
        }
        let start = self.out.len();
        let fits = self.record(record).is_some() && self.out.len() <= max_len;
        if !fits {
            self.out.truncate(start);
            self.is_cut = true;
        }
        fits
    }

    /// Writes a record. Returns the position of its TTL.
    fn record(&mut self, record: &Record) -> Option<usize> {
        let packet = self.packet;
        self.name(record.owner, Case::Ignored)?;
        let ttl_at = self.out.len() + 4;
        self.out.extend_from_slice(packet.get(record.ttl_at.checked_sub(4)?..record.rdata)?);
        let rdata_out = self.out.len();
        let mut written = record.rdata;
        visit_names(packet, record, |at| {
            self.out.extend_from_slice(packet.get(written..at)?);
            written = if is_compressible(record.rtype) {
                self.name(at, Case::Preserved)?
            } else {
                push_name(packet, at, &mut self.out)?
            };
            Some(written)
        })?;
        self.out.extend_from_slice(packet.get(written..record.end)?);
        let length = u16::try_from(self.out.len() - rdata_out).ok()?;
        self.out.get_mut(rdata_out - 2..rdata_out)?.copy_from_slice(&length.to_be_bytes());
        Some(ttl_at)
    }

    /// Writes the name at `start`. Returns its end in the original message.
    fn name(&mut self, start: usize, case: Case) -> Option<usize> {
        let end = self.split(start)?;
        let labels = std::mem::take(&mut self.labels);
        let suffix = (0..).zip(&labels).find_map(|(count, label)| Some((count, self.find(*label, case)?)));
        let (literal_labels, pointer) =
            suffix.map_or((labels.len(), None), |(count, target)| (count, Some(target)));
        let preserves_case = pointer.is_none_or(|(_, preserves_case)| preserves_case);
        for &(original_at, hash) in labels.get(..literal_labels)? {
            let at = self.out.len();
            self.add_target(Target { hash, original_at, at, preserves_case, next: None });
            let len = usize::from(*self.packet.get(original_at)?);
            self.out.extend_from_slice(self.packet.get(original_at..original_at + 1 + len)?);
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

    /// Finds the labels of the name at `start`. Returns the end of the name in place.
    fn split(&mut self, start: usize) -> Option<usize> {
        self.labels.clear();
        let (mut at, mut end) = (start, None);
        loop {
            match *self.packet.get(at)? {
                0 => break,
                pointer if pointer >= 0xc0 => {
                    end = end.or(Some(at + 2));
                    at = usize::from(u16_at(self.packet, at)? & 0x3fff);
                }
                len => {
                    self.labels.push((at, 0));
                    at += 1 + usize::from(len);
                }
            }
        }
        // FNV-1a from the last label to the first: a suffix has the same hash in every name.
        let mut hash = 0x811c_9dc5_u32;
        for (label_at, suffix_hash) in self.labels.iter_mut().rev() {
            let len = usize::from(*self.packet.get(*label_at)?);
            for octet in self.packet.get(*label_at..*label_at + 1 + len)? {
                hash = (hash ^ u32::from(octet.to_ascii_lowercase())).wrapping_mul(0x0100_0193);
            }
            *suffix_hash = hash;
        }
        Some(end.unwrap_or(at + 1))
    }

    /// Remembers a target, if a pointer can lead there.
    fn add_target(&mut self, target: Target) {
        let Ok(index) = u16::try_from(self.targets.len()) else { return };
        if target.at > MAX_POINTER || self.targets.len() >= MAX_TARGETS {
            return;
        }
        let Some(list) = self.lists.get_mut(list_of(target.hash)) else { return };
        let (first, last) = list.unwrap_or((index, index));
        if let Some(last) = self.targets.get_mut(usize::from(last)) {
            last.next = Some(index);
        }
        *list = Some((first, index));
        self.targets.push(target);
    }

    /// The position at which the name with this first label was written, and whether in its own
    /// case.
    fn find(&self, (at, hash): (usize, u32), case: Case) -> Option<(usize, bool)> {
        let target = |index: u16| self.targets.get(usize::from(index));
        let first = self.lists.get(list_of(hash)).copied().flatten().and_then(|(first, _)| target(first));
        let list = std::iter::successors(first, |listed| listed.next.and_then(target));
        let is_same = |found: &&Target| match case {
            Case::Ignored => same_name(self.packet, at, found.original_at),
            Case::Preserved => found.preserves_case && equal_name(self.packet, at, found.original_at),
        };
        let found = list.take(MAX_COMPARED).filter(|found| found.hash == hash).find(is_same)?;
        let is_exact = case == Case::Preserved || equal_name(self.packet, at, found.original_at);
        Some((found.at, found.preserves_case && is_exact))
    }
}

fn list_of(hash: u32) -> usize {
    // The low octet of FNV-1a is its weakest.
    usize::try_from(hash >> 16).unwrap_or_default() % LISTS
}
