//! A message written anew without some of its answers. Names are written in full, as pointers into what is left out
//! would lead nowhere.

use crate::header::{HEADER_LEN, Header};
use crate::name::compressed::{name_end, push_name};
use crate::record::{Layout, Record, TTL_LEN};

/// The message without the answers at `strays`, places in order. It was walked before.
pub(crate) fn without(packet: &[u8], question_end: usize, strays: &[u16]) -> Option<Vec<u8>> {
    let mut header = Header::read(packet)?;
    let records = [header.ancount, header.nscount, header.arcount].map(usize::from).iter().sum();
    let mut out = Vec::with_capacity(packet.len());
    header.ancount = header.ancount.checked_sub(u16::try_from(strays.len()).ok()?)?;
    out.extend_from_slice(&header.to_bytes());
    out.extend_from_slice(packet.get(HEADER_LEN..question_end)?);
    let mut at = question_end;
    for place in 0..records {
        let record = Record::reread(packet, at)?;
        at = record.end;
        let is_stray = u16::try_from(place).is_ok_and(|place| strays.binary_search(&place).is_ok());
        if !is_stray {
            push_record(packet, &record, &mut out)?;
        }
        if out.len() > usize::from(u16::MAX) {
            return None;
        }
    }
    Some(out)
}

fn push_record(packet: &[u8], record: &Record, out: &mut Vec<u8>) -> Option<()> {
    push_name(packet, record.owner, out)?;
    out.extend_from_slice(packet.get(record.ttl_at - 4..record.ttl_at + TTL_LEN)?);
    let length_at = out.len();
    out.extend_from_slice(&[0, 0]);
    let layout = Layout::of(record.rtype, record.class);
    let names_at = layout.names_at(packet, record.rdata)?;
    out.extend_from_slice(packet.get(record.rdata..names_at)?);
    let mut at = names_at;
    for _ in 0..layout.names() {
        push_name(packet, at, out)?;
        at = name_end(packet, at)?;
    }
    out.extend_from_slice(packet.get(at..record.end)?);
    let length = u16::try_from(out.len() - length_at - 2).ok()?;
    out.get_mut(length_at..length_at + 2)?.copy_from_slice(&length.to_be_bytes());
    Some(())
}
