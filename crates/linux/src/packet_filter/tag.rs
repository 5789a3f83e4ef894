//! What tells conntrack's connections to a fallback from others, so that the source of their replies is
//! restored: a zone, or bits of the mark where the kernel lacks zones.
//!
//! With a mark, a client that queries the address and its fallback from one port has both queries in
//! one connection.

use super::config::FilterConfig;
use crate::nft::{Mark, Rule};

/// The zone or mark of the connections of one address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tag {
    Zone(u16),
    Mark(Mark),
}

impl Tag {
    /// That of the address with this number; `None` when the mask has no more values.
    pub(super) fn of(config: &FilterConfig, number: usize) -> Option<Self> {
        let number = u16::try_from(number).ok()?;
        if config.first_zone != 0 {
            return config.first_zone.checked_add(number).map(Self::Zone);
        }
        let mask = config.mark_mask;
        let lowest = mask & mask.wrapping_neg();
        let value = lowest.checked_mul(u32::from(number) + 1)?;
        (value & !mask == 0 && value != 0).then_some(Self::Mark(Mark { value, mask }))
    }

    /// Tags a packet that is not tracked yet.
    pub(super) fn set(self, rule: Rule) -> Rule {
        match self {
            Self::Zone(zone) => rule.set_original_zone(zone),
            Self::Mark(mark) => rule.set_mark(mark),
        }
    }

    /// Matches packets of tagged connections.
    pub(super) fn matches(self, rule: Rule) -> Rule {
        match self {
            Self::Zone(zone) => rule.original_zone(zone),
            Self::Mark(mark) => rule.connection_mark(mark),
        }
    }

    /// Moves the mark from the packet to its connection; `None` for a zone.
    pub(super) fn mark_connection(self) -> Option<Rule> {
        let Self::Mark(mark) = self else { return None };
        let rule = Rule::new("to the fallback").mark(mark).set_connection_mark(mark);
        Some(rule.set_mark(Mark { value: 0, ..mark }))
    }
}

/// Takes the fallback from addresses for which there is no zone or mark left.
pub(super) fn limit_fallbacks(config: &mut FilterConfig) {
    let mut number = 0;
    for index in 0..config.addresses.len() {
        let has_tag = Tag::of(config, number).is_some();
        let Some(filtered) = config.addresses.get_mut(index).filter(|one| one.fallback.is_some()) else {
            continue;
        };
        if !has_tag {
            filtered.fallback = None;
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::{Fallback, FilteredAddress};
    use super::*;

    fn config(first_zone: u16, mark_mask: u32) -> FilterConfig {
        let addresses = (1..=5)
            .map(|host| FilteredAddress {
                address: [169, 254, 25, host].into(),
                fallback: (host != 2).then_some(Fallback::Itself),
            })
            .collect();
        let table = "test".to_owned();
        FilterConfig {
            table,
            addresses,
            dns_port: 53,
            health_port: None,
            notrack: true,
            guard: false,
            first_zone,
            mark_mask,
        }
    }

    #[test]
    fn each_address_has_a_mark_as_long_as_the_mask_has_values() {
        let value = |value| Some(Tag::Mark(Mark { value, mask: 0x3000 }));
        let tags: Vec<_> = (0..4).map(|number| Tag::of(&config(0, 0x3000), number)).collect();
        assert_eq!(tags, [value(0x1000), value(0x2000), value(0x3000), None]);
        assert_eq!(Tag::of(&config(0, 0x8000_0000), 1), None);
        assert_eq!(Tag::of(&config(0, 0), 0), None);
        assert_eq!(Tag::of(&config(65_535, 0), 0), Some(Tag::Zone(65_535)));
        assert_eq!(Tag::of(&config(65_535, 0), 1), None);
    }

    #[test]
    fn addresses_without_a_mark_have_no_fallback() {
        let mut limited = config(0, 0x3000);
        limit_fallbacks(&mut limited);
        let has_fallback = limited.addresses.iter().map(|filtered| filtered.fallback.is_some());
        assert_eq!(has_fallback.collect::<Vec<_>>(), [true, false, true, true, false]);
    }
}
