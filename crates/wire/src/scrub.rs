//! Scrubbing: a response without the unrelated records of its answer section, or without misplaced
//! OPT records. Names are written uncompressed, because pointers may lead into removed records.

use crate::header::{HEADER_LEN, Header};
use crate::name::compressed::{name_end, push_name};
use crate::record::{RdataLayout, Record, TTL_LEN};

/// The validated message without the records at the indices `removed`, which ascend and belong to
/// the answer and the authority section, with the octets that follow the last record. Nothing when it
/// would exceed 65,535 octets.
pub(crate) fn without(packet: &[u8], question_end: usize, removed: &[u16]) -> Option<Vec<u8>> {
    let mut header = Header::read(packet)?;
    let records = [header.ancount, header.nscount, header.arcount].map(usize::from).iter().sum();
    let mut out = Vec::with_capacity(packet.len());
    let answers = removed.partition_point(|index| *index < header.ancount);
    header.ancount = header.ancount.checked_sub(u16::try_from(answers).ok()?)?;
    header.nscount = header.nscount.checked_sub(u16::try_from(removed.len() - answers).ok()?)?;
    out.extend_from_slice(&header.to_bytes());
    out.extend_from_slice(packet.get(HEADER_LEN..question_end)?);
    let mut at = question_end;
    for index in 0..records {
        let record = Record::read_validated(packet, at)?;
        at = record.end;
        let is_removed = u16::try_from(index).is_ok_and(|index| removed.binary_search(&index).is_ok());
        if !is_removed {
            push_record(packet, &record, &mut out)?;
        }
        if out.len() > usize::from(u16::MAX) {
            return None;
        }
    }
    out.extend_from_slice(packet.get(at..)?);
    (out.len() <= usize::from(u16::MAX)).then_some(out)
}

fn push_record(packet: &[u8], record: &Record, out: &mut Vec<u8>) -> Option<()> {
    push_name(packet, record.owner, out)?;
    out.extend_from_slice(packet.get(record.ttl_at - 4..record.ttl_at + TTL_LEN)?);
    let length_at = out.len();
    out.extend_from_slice(&[0, 0]);
    let layout = RdataLayout::of(record.rtype, record.class);
    let names_at = layout.names_at(packet, record.rdata)?;
    out.extend_from_slice(packet.get(record.rdata..names_at)?);
    let mut at = names_at;
    for _ in 0..layout.names {
        push_name(packet, at, out)?;
        at = name_end(packet, at)?;
    }
    out.extend_from_slice(packet.get(at..record.end)?);
    let length = u16::try_from(out.len() - length_at - 2).ok()?;
    out.get_mut(length_at..length_at + 2)?.copy_from_slice(&length.to_be_bytes());
    Some(())
}
