//! Counters of the `acl` directive, by the labels of their metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use wire::name::Name;

use super::Counter;
use crate::policy::AclAction;

/// Queries by what `acl` did with them; those that it did not allow, by zone of the directive too.
#[derive(Debug, Default)]
pub struct AclCounters {
    allowed: Counter,
    /// Indexed by [`AclAction`]. There are as many as zones, whatever the queries.
    by_zone: Mutex<BTreeMap<Name, [u64; AclAction::ALL.len()]>>,
}

impl AclCounters {
    /// Adds a query: the policy that matched it, or none, and the zone of its directive.
    pub fn count(&self, decided: Option<(AclAction, &Name)>) {
        let Some((action, zone)) = decided.filter(|(action, _)| *action != AclAction::Allow) else {
            return self.allowed.add(1);
        };
        let mut by_zone = self.by_zone.lock().unwrap_or_else(PoisonError::into_inner);
        if !by_zone.contains_key(zone) {
            by_zone.insert(zone.clone(), [0; AclAction::ALL.len()]);
        }
        if let Some(count) = by_zone.get_mut(zone).and_then(|counts| counts.get_mut(action as usize)) {
            *count += 1;
        }
    }

    /// Queries that were allowed.
    pub fn allowed(&self) -> u64 {
        self.allowed.get()
    }

    /// Queries that had this action, by zone.
    pub fn by_zone(&self, action: AclAction) -> BTreeMap<Name, u64> {
        let by_zone = self.by_zone.lock().unwrap_or_else(PoisonError::into_inner);
        let count =
            |counts: &[u64; AclAction::ALL.len()]| counts.get(action as usize).copied().unwrap_or_default();
        by_zone.iter().map(|(zone, counts)| (zone.clone(), count(counts))).collect()
    }
}
