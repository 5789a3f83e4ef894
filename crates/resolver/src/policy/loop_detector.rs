//! Forwarding loop detection: the `loop` directive.

use std::sync::{Mutex, PoisonError};

use wire::name::Name;

/// Detects a forwarding loop by a query of our own that arrives a second time.
#[derive(Debug, Default)]
pub struct LoopDetector {
    /// The name of the query, and how often it has arrived.
    query: Mutex<Option<(Name, u32)>>,
}

impl LoopDetector {
    /// Expects a query for `name`, a fresh random one each time; `None` ends detection.
    pub fn watch(&self, name: Option<Name>) {
        *self.query.lock().unwrap_or_else(PoisonError::into_inner) = name.map(|name| (name, 0));
    }

    /// True when `name` is the query's and arrives for the second time: once directly, once
    /// through the loop.
    pub(crate) fn has_returned(&self, name: &[u8]) -> bool {
        let mut query = self.query.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((query_name, arrivals)) = query.as_mut() else { return false };
        if query_name.as_wire() != name {
            return false;
        }
        *arrivals += 1;
        *arrivals > 1
    }
}
