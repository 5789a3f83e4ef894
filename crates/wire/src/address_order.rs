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
struct AddressRecords<'a> {
    owner: Owner<'a>,
    /// Positions of their TTLs.
    ttls: &'a [u16],
    /// How many of them the response has.
    sent: usize,
    /// Octets of an address.
    len: usize,
}

impl Answer {
    /// Arranges the addresses in a response that [`Answer::write`] has appended to `out` from `start`
    /// on: each sequence of A or of AAAA records in the answer section. Addresses that truncation
    /// left out take part. Does not allocate if `out` has room for another such response.
    pub fn arrange_addresses(&self, order: &impl AddressOrder, start: usize, out: &mut Vec<u8>) {
        let mut sent = usize::from(u16_at(out, start + ANCOUNT).unwrap_or(0));
        let mut rest = self.answer_ttls();
        let mut at = self.question_end();
        while let Some((first, others)) = rest.split_first().filter(|_| sent > 0) {
            let address = self.address_type(*first);
            let is_same = |ttl: &&u16| address.is_some() && self.address_type(**ttl) == address;
            let count = 1 + others.iter().take_while(is_same).count();
            let Some((ttls, others)) = rest.split_at_checked(count) else { return };
            if let Some((_, len)) = address.filter(|_| count > 1) {
                let owner = Owner { message: self.message(), at };
                self.arrange(&AddressRecords { owner, ttls, sent, len }, order, start, out);
            }
            at = ttls.last().map_or(at, |ttl| record_end(self.message(), *ttl));
            (rest, sent) = (others, sent.saturating_sub(count));
        }
    }

    fn arrange(
        &self,
        records: &AddressRecords<'_>,
        order: &impl AddressOrder,
        start: usize,
        out: &mut Vec<u8>,
    ) {
        let (end, len) = (out.len(), records.len);
        // Behind the response there is room that need not be allocated for each.
        for ttl in records.ttls {
            let rdata = usize::from(*ttl) + RDATA_AFTER_TTL;
            out.extend_from_slice(self.message().get(rdata..rdata + len).unwrap_or_default());
        }
        let (response, addresses) = out.split_at_mut(end);
        match len {
            4 => order.arrange(&records.owner, addresses.as_chunks_mut::<4>().0),
            _ => order.arrange(&records.owner, addresses.as_chunks_mut::<16>().0),
        }
        for (ttl, address) in records.ttls.iter().take(records.sent).zip(addresses.chunks_exact(len)) {
            let rdata = start + usize::from(*ttl) + RDATA_AFTER_TTL;
            if let Some(sent) = response.get_mut(rdata..rdata + len) {
                sent.copy_from_slice(address);
            }
        }
        out.truncate(end);
    }

    /// Type and octets of an address record, by the position of its TTL.
    fn address_type(&self, ttl: u16) -> Option<(RecordType, usize)> {
        let (message, ttl) = (self.message(), usize::from(ttl));
        let rtype = RecordType(u16_at(message, ttl.checked_sub(TYPE_BEFORE_TTL)?)?);
        let len = usize::from(u16_at(message, ttl + RDLENGTH_AFTER_TTL)?);
        let is_address = matches!((rtype, len), (RecordType::A, 4) | (RecordType::AAAA, 16));
        is_address.then_some((rtype, len))
    }
}
