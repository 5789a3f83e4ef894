//! Conditions of rules, as far as they are known.

/// Whether a packet meets the conditions of a rule.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Condition {
    Met,
    Unmet,
    Unknown,
}

impl Condition {
    pub(super) const fn of(is_met: bool) -> Self {
        if is_met { Self::Met } else { Self::Unmet }
    }

    pub(super) const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unmet, _) | (_, Self::Unmet) => Self::Unmet,
            (Self::Met, Self::Met) => Self::Met,
            _ => Self::Unknown,
        }
    }
}
