//! Shorter owner names for an answer that came without any compression (RFC 1035 section 4.1.4).
//!
//! CoreDNS compresses only what would not fit otherwise, and over TCP all fits. Kept so, 512 octets would tell
//! a client half the addresses they could.

use super::record_end;
use crate::header::HEADER_LEN;

/// Octets of a pointer, below which nothing is shortened.
const POINTER_LEN: usize = 2;

/// Pointers reach this far.
const MAX_POINTER: usize = 0x3fff;

/// The message `packet`, in which no name has a pointer, with shorter owner names: what an owner shares with the
/// question's name, or all that it shares with the record before, becomes a pointer. RDATA stays as it is.
/// Returns the octets and where the TTLs are in them.
pub(super) fn owners(packet: &[u8], question_end: usize, ttls: &[u16]) -> Option<(Vec<u8>, Vec<u16>)> {
    let name = packet.get(HEADER_LEN..question_end.checked_sub(4)?)?;
    let places = places(name);
    let mut out = Vec::with_capacity(packet.len());
    out.extend_from_slice(packet.get(..question_end)?);
    let mut shorter_ttls = Vec::with_capacity(ttls.len());
    let mut at = question_end;
    let mut previous: Option<(usize, &[u8])> = None;
    for ttl in ttls {
        let fixed = usize::from(*ttl).checked_sub(4)?;
        let owner = packet.get(at..fixed)?;
        let end = record_end(packet, *ttl);
        let same =
            previous.filter(|(place, other)| *place <= MAX_POINTER && other.eq_ignore_ascii_case(owner));
        match (shared(name, &places, owner), same) {
            (Some((0, place)), _) | (_, Some((place, _))) => push_pointer(place, &mut out)?,
            (found, None) => {
                previous = Some((out.len(), owner)).filter(|_| owner.len() > POINTER_LEN);
                match found {
                    None => out.extend_from_slice(owner),
                    Some((own, place)) => {
                        out.extend_from_slice(owner.get(..own)?);
                        push_pointer(place, &mut out)?;
                    }
                }
            }
        }
        shorter_ttls.push(u16::try_from(out.len() + 4).ok()?);
        out.extend_from_slice(packet.get(fixed..end)?);
        at = end;
    }
    Some((out, shorter_ttls))
}

/// How many octets of `owner` are its own before it goes on like the question's `name`, and where in the message
/// that part of `name`, which has its labels at `places`, is; nothing when they share only the root.
fn shared(name: &[u8], places: &[usize], owner: &[u8]) -> Option<(usize, usize)> {
    let in_owner = labels(owner);
    let mut place = *places.get(places.len().saturating_sub(in_owner + 1))?;
    let mut own = (places.len()..=in_owner).try_fold(0, |at, _| Some(at + 1 + label(owner, at)?.len()))?;
    let mut found = (own, place);
    loop {
        let (theirs, ours) = (label(name, place)?, label(owner, own)?);
        if theirs.is_empty() {
            break;
        }
        (own, place) = (own + 1 + ours.len(), place + 1 + theirs.len());
        if !theirs.eq_ignore_ascii_case(ours) {
            found = (own, place);
        }
    }
    (found.1 < place).then_some((found.0, HEADER_LEN + found.1))
}

/// Where the labels of `name` are, the root's among them.
fn places(name: &[u8]) -> Vec<usize> {
    let next =
        |at: &usize| label(name, *at).filter(|label| !label.is_empty()).map(|label| at + 1 + label.len());
    std::iter::successors(Some(0), next).collect()
}

/// How many labels `name` has, without the root.
fn labels(name: &[u8]) -> usize {
    let (mut at, mut count) = (0, 0);
    while let Some(label) = label(name, at).filter(|label| !label.is_empty()) {
        at += 1 + label.len();
        count += 1;
    }
    count
}

/// The label of `name` at `at`; the root's is empty.
fn label(name: &[u8], at: usize) -> Option<&[u8]> {
    let len = usize::from(*name.get(at)?);
    name.get(at + 1..at + 1 + len)
}

fn push_pointer(place: usize, out: &mut Vec<u8>) -> Option<()> {
    let pointer = 0xc000 | u16::try_from(place).ok()?;
    out.extend_from_slice(&pointer.to_be_bytes());
    Some(())
}
