//! What one cached answer is the answer to.

use wire::Query;
use wire::name::MAX_NAME_LEN;

use crate::policy::BlockId;

const PREFIX_LEN: usize = 5;
const DNSSEC_OK: u8 = 1;
const CHECKING_DISABLED: u8 = 2;
const FAILURE: u8 = 4;

/// Block, DO, CD, type and lower-case name as octets on the stack. The class is not in it: only IN is cached.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    octets: [u8; PREFIX_LEN + MAX_NAME_LEN],
    len: usize,
}

impl Key {
    /// The key of `query` in `block`.
    pub(crate) fn new(block: BlockId, query: &Query<'_>) -> Self {
        let [block_high, block_low] = block.0.to_be_bytes();
        let [type_high, type_low] = query.qtype.0.to_be_bytes();
        let mut variant = 0;
        if query.echo.edns.is_some_and(|edns| edns.dnssec_ok) {
            variant |= DNSSEC_OK;
        }
        if query.echo.flags.has(wire::header::Flags::CD) {
            variant |= CHECKING_DISABLED;
        }
        let prefix = [block_high, block_low, variant, type_high, type_low];
        let name = query.name.as_wire();
        let len = PREFIX_LEN + name.len();
        let mut octets = [0; PREFIX_LEN + MAX_NAME_LEN];
        if let Some((front, rest)) = octets.split_first_chunk_mut::<PREFIX_LEN>() {
            *front = prefix;
            if let Some(place) = rest.get_mut(..name.len()) {
                place.copy_from_slice(name);
            }
        }
        Self { octets, len }
    }

    /// Where the failure of a question is kept, beside what is known of its answer: neither hides the other.
    pub(crate) fn of_failure(key: &[u8]) -> Self {
        let mut octets = [0; PREFIX_LEN + MAX_NAME_LEN];
        let len = key.len().min(octets.len());
        for (place, octet) in octets.iter_mut().zip(key) {
            *place = *octet;
        }
        let [_, _, variant, ..] = &mut octets;
        *variant |= FAILURE;
        Self { octets, len }
    }

    /// The octets.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }
}
