//! Order of addresses: those of an answer are sent in another order than that in which they are stored.
//!
//! Only RDATA moves: A and AAAA records of one name differ in nothing else.

use crate::answer::Answer;
use crate::header::RecordType;
use crate::name::compressed::push_name;
use crate::octets::u16_at;
use crate::record::record_end;

/// Position of ANCOUNT in a message.
const ANCOUNT: usize = 6;

/// From the TTL of a record back to its type, and forth to RDLENGTH and RDATA.
const TYPE_BEFORE_TTL: usize = 4;
const RDLENGTH_AFTER_TTL: usize = 4;
const RDATA_AFTER_TTL: usize = 6;

/// Puts the addresses of one name into an order.
pub trait AddressOrder {
    /// The addresses of `owner` as octets, 4 for IPv4 and 16 for IPv6; at least two.
    fn arrange<const LEN: usize>(&self, owner: &Owner<'_>, addresses: &mut [[u8; LEN]]);
}

/// The owner of address records.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Owner<'a> {
    /// The owner with a name in wire form.
    pub const fn named(name: &'a [u8]) -> Self {
        Self { message: name, at: 0 }
    }

    /// The name in lower case, in wire form. Allocates.
    pub fn to_lower_case(&self) -> Option<Vec<u8>> {
        let mut name = Vec::new();
        push_name(self.message, self.at, &mut name)?;
        // Octets of length are at most 63, below the capital letters.
        name.make_ascii_lowercase();
        Some(name)
    }
}

/// A sequence of address records of one type.
struct AddressRecords<'a, T> {
    owner: Owner<'a>,
    /// Positions of their TTLs.
    ttls: T,
    /// How many of them the response has.
    sent: usize,
    /// Octets of an address.
    len: usize,
}

impl<O: AsRef<[u8]>> Answer<O> {
    /// Arranges the addresses in a response that [`Answer::write`] has appended to `out` from `start`
    /// on: each sequence of A or of AAAA records in the answer section. Addresses that truncation
    /// left out take part. Does not allocate if `out` has room for another such response.
    pub fn arrange_addresses(&self, order: &impl AddressOrder, start: usize, out: &mut Vec<u8>) {
        let message = self.message();
        let mut sent = usize::from(u16_at(out, start + ANCOUNT).unwrap_or(0));
        let mut rest = self.answer_ttls();
        let mut at = self.question_end();
        while sent > 0 {
            let sequence = rest.clone();
            let Some(first) = rest.next() else { return };
            let address = address_type(message, first);
            let (mut count, mut last) = (1, first);
            let mut others = rest.clone();
            while let Some(ttl) = others.next()
                && address.is_some()
                && address_type(message, ttl) == address
            {
                (count, last, rest) = (count + 1, ttl, others.clone());
            }
            if let Some((_, len)) = address.filter(|_| count > 1) {
                let (owner, ttls) = (Owner { message, at }, sequence.take(count));
                arrange(&AddressRecords { owner, ttls, sent, len }, order, start, out);
            }
            at = record_end(message, last);
            sent = sent.saturating_sub(count);
        }
    }
}

fn arrange(
    records: &AddressRecords<'_, impl Iterator<Item = usize> + Clone>,
    order: &impl AddressOrder,
    start: usize,
    out: &mut Vec<u8>,
) {
    let (end, len) = (out.len(), records.len);
    // Behind the response there is room that need not be allocated for each.
    for ttl in records.ttls.clone() {
        let rdata = ttl + RDATA_AFTER_TTL;
        out.extend_from_slice(records.owner.message.get(rdata..rdata + len).unwrap_or_default());
    }
    let (response, addresses) = out.split_at_mut(end);
    match len {
        4 => order.arrange(&records.owner, addresses.as_chunks_mut::<4>().0),
        _ => order.arrange(&records.owner, addresses.as_chunks_mut::<16>().0),
    }
    let sent = records.ttls.clone().take(records.sent);
    for (ttl, address) in sent.zip(addresses.chunks_exact(len)) {
        let rdata = start + ttl + RDATA_AFTER_TTL;
        if let Some(sent) = response.get_mut(rdata..rdata + len) {
            sent.copy_from_slice(address);
        }
    }
    out.truncate(end);
}

/// Type and octets of an address record, by the position of its TTL.
fn address_type(message: &[u8], ttl: usize) -> Option<(RecordType, usize)> {
    let rtype = RecordType(u16_at(message, ttl.checked_sub(TYPE_BEFORE_TTL)?)?);
    let len = usize::from(u16_at(message, ttl + RDLENGTH_AFTER_TTL)?);
    let is_address = matches!((rtype, len), (RecordType::A, 4) | (RecordType::AAAA, 16));
    is_address.then_some((rtype, len))
}
