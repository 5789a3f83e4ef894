//! Formats inside RDATA that extend to its end.

use crate::octets::u16_at;

/// Maximum octets of one window of a type bitmap (RFC 4034 section 4.1.2).
const MAX_WINDOW_LEN: usize = 32;

/// Keys of SVCB parameters (RFC 9460 section 14.3.2).
mod svc_key {
    pub(super) const MANDATORY: u16 = 0;
    pub(super) const ALPN: u16 = 1;
    pub(super) const NO_DEFAULT_ALPN: u16 = 2;
    pub(super) const PORT: u16 = 3;
    pub(super) const IPV4HINT: u16 = 4;
    pub(super) const IPV6HINT: u16 = 6;
    pub(super) const OHTTP: u16 = 8;
}

/// True for any number of character strings.
pub(super) fn has_strings(octets: &[u8]) -> bool {
    let mut rest = octets;
    while let Some((len, tail)) = rest.split_first() {
        let Some(tail) = tail.get(usize::from(*len)..) else { return false };
        rest = tail;
    }
    true
}

/// True for windows in ascending order, none empty and none with zero octets at its end.
pub(super) fn is_type_bitmap(octets: &[u8]) -> bool {
    let (mut rest, mut last) = (octets, None);
    while let [window, len, tail @ ..] = rest {
        let Some((types, tail)) = tail.split_at_checked(usize::from(*len)) else { return false };
        let has_types = types.last().is_some_and(|last| *last != 0) && types.len() <= MAX_WINDOW_LEN;
        if !has_types || last.is_some_and(|last| last >= *window) {
            return false;
        }
        (last, rest) = (Some(*window), tail);
    }
    rest.is_empty()
}

/// True for address prefixes: family, prefix length, and as many octets of the address at most as
/// its family has.
pub(super) fn has_prefixes(octets: &[u8]) -> bool {
    let mut rest = octets;
    while let [high, low, prefix, len, tail @ ..] = rest {
        let len = usize::from(len & 0x7f);
        let max_len = match u16::from_be_bytes([*high, *low]) {
            1 => 4,
            2 => 16,
            _ => usize::from(u8::MAX),
        };
        let Some(tail) = tail.get(len..) else { return false };
        if len > max_len || usize::from(*prefix) > 8 * max_len {
            return false;
        }
        rest = tail;
    }
    rest.is_empty()
}

/// True for parameters in strictly ascending order, whose values have the format of their key.
/// Clients reject the record otherwise (RFC 9460 section 2.2).
pub(super) fn has_svc_params(octets: &[u8]) -> bool {
    let (mut rest, mut last) = (octets, None);
    while !rest.is_empty() {
        let Some((key, value, tail)) = split_param(rest) else { return false };
        if last.is_some_and(|last| last >= key) || !is_svc_value(key, value) {
            return false;
        }
        (last, rest) = (Some(key), tail);
    }
    true
}

/// Key, value and what follows.
fn split_param(octets: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (key, len) = (u16_at(octets, 0)?, usize::from(u16_at(octets, 2)?));
    let (value, tail) = octets.get(4..)?.split_at_checked(len)?;
    Some((key, value, tail))
}

fn is_svc_value(key: u16, value: &[u8]) -> bool {
    let is_list_of = |size: usize| !value.is_empty() && value.len().is_multiple_of(size);
    match key {
        svc_key::MANDATORY => is_list_of(2) && is_key_list(value),
        svc_key::ALPN => is_list_of(1) && has_strings(value) && !has_empty_string(value),
        svc_key::NO_DEFAULT_ALPN | svc_key::OHTTP => value.is_empty(),
        svc_key::PORT => value.len() == 2,
        svc_key::IPV4HINT => is_list_of(4),
        svc_key::IPV6HINT => is_list_of(16),
        _ => true,
    }
}

/// True for ascending keys other than `mandatory` itself (RFC 9460 section 8).
fn is_key_list(value: &[u8]) -> bool {
    let keys = (0..value.len()).step_by(2).map(|at| u16_at(value, at).unwrap_or_default());
    keys.is_sorted_by(|one, next| one < next) && !value.starts_with(&[0, 0])
}

fn has_empty_string(strings: &[u8]) -> bool {
    let mut rest = strings;
    while let Some((len, tail)) = rest.split_first() {
        if *len == 0 {
            return true;
        }
        rest = tail.get(usize::from(*len)..).unwrap_or_default();
    }
    false
}
