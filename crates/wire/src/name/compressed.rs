//! Names with compression pointers (RFC 1035 section 4.1.4) in a validated packet: every pointer
//! leads back, and every name ends.

use crate::octets::u16_at;

/// True when the names at `a` and `b` are equal, without regard to case.
pub(crate) fn same_name(packet: &[u8], a: usize, b: usize) -> bool {
    compare(packet, a, b, <[u8]>::eq_ignore_ascii_case)
}

/// True when the names at `a` and `b` are equal, the case of letters included.
pub(crate) fn equal_name(packet: &[u8], a: usize, b: usize) -> bool {
    compare(packet, a, b, <[u8]>::eq)
}

fn compare(packet: &[u8], mut a: usize, mut b: usize, is_same: impl Fn(&[u8], &[u8]) -> bool) -> bool {
    loop {
        let (Some((a_at, a_label)), Some((b_at, b_label))) = (label(packet, a), label(packet, b)) else {
            return false;
        };
        if a_at == b_at {
            return true;
        }
        if !is_same(a_label, b_label) {
            return false;
        }
        if a_label.is_empty() {
            return true;
        }
        (a, b) = (a_at + 1 + a_label.len(), b_at + 1 + b_label.len());
    }
}

/// The label at `at`, after following pointers: the position of its length octet, and its octets.
fn label(packet: &[u8], mut at: usize) -> Option<(usize, &[u8])> {
    loop {
        let len = *packet.get(at)?;
        if len < 0xc0 {
            return Some((at, packet.get(at + 1..at + 1 + usize::from(len))?));
        }
        at = usize::from(u16_at(packet, at)? & 0x3fff);
    }
}

/// The end of the name at `at` in place: after its root or its first pointer.
pub(crate) fn name_end(packet: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *packet.get(at)? {
            0 => return Some(at + 1),
            pointer if pointer >= 0xc0 => return Some(at + 2),
            len => at += 1 + usize::from(len),
        }
    }
}

/// Appends the name at `start`, uncompressed. Returns its end in place.
pub(crate) fn push_name(packet: &[u8], start: usize, out: &mut Vec<u8>) -> Option<usize> {
    let mut at = start;
    loop {
        let (label_at, octets) = label(packet, at)?;
        out.push(u8::try_from(octets.len()).ok()?);
        if octets.is_empty() {
            return name_end(packet, start);
        }
        out.extend_from_slice(octets);
        at = label_at + 1 + octets.len();
    }
}

/// A case-insensitive hash of the name at `at`.
pub(crate) fn hash_name(packet: &[u8], mut at: usize) -> u32 {
    // FNV-1a: it saves comparisons; collisions only cost comparisons.
    let mut hash = 0x811c_9dc5_u32;
    while let Some((label_at, octets)) = label(packet, at).filter(|(_, octets)| !octets.is_empty()) {
        for octet in octets {
            hash = (hash ^ u32::from(octet.to_ascii_lowercase())).wrapping_mul(0x0100_0193);
        }
        hash = hash.wrapping_mul(0x0100_0193);
        at = label_at + 1 + octets.len();
    }
    hash
}

/// The position of the name at `at` without its first label; nothing for the root.
pub(crate) fn parent(packet: &[u8], at: usize) -> Option<usize> {
    let (label_at, octets) = label(packet, at)?;
    (!octets.is_empty()).then_some(label_at + 1 + octets.len())
}

/// True when the name at `name` is the one at `zone` or below it.
pub(crate) fn is_at_or_below(packet: &[u8], name: usize, zone: usize) -> bool {
    let Some(below) = label_count(packet, name).checked_sub(label_count(packet, zone)) else { return false };
    let suffix = (0..below).try_fold(name, |at, _| parent(packet, at));
    suffix.is_some_and(|suffix| same_name(packet, suffix, zone))
}

/// Labels of the name at `at`, without the root.
fn label_count(packet: &[u8], at: usize) -> usize {
    std::iter::successors(parent(packet, at), |at| parent(packet, *at)).count()
}
