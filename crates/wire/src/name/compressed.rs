//! Names with compression pointers (RFC 1035 section 4.1.4) in a validated packet: every pointer
//! leads back, and every name ends.

use crate::octets::u16_at;

/// True when the names at `a` and `b` are equal, without regard to case.
pub(crate) fn same_name(packet: &[u8], mut a: usize, mut b: usize) -> bool {
    loop {
        let (Some((a_at, a_label)), Some((b_at, b_label))) = (label(packet, a), label(packet, b)) else {
            return false;
        };
        if a_at == b_at {
            return true;
        }
        if !a_label.eq_ignore_ascii_case(b_label) {
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

/// Appends the name at `at`, uncompressed.
pub(crate) fn push_name(packet: &[u8], mut at: usize, out: &mut Vec<u8>) -> Option<()> {
    loop {
        let (label_at, octets) = label(packet, at)?;
        out.push(u8::try_from(octets.len()).ok()?);
        if octets.is_empty() {
            return Some(());
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
