//! Forwarding loop detection: the `loop` directive.

use std::sync::{Mutex, PoisonError};

use wire::name::Name;

/// Detects a forwarding loop by a probe of our own that arrives a second time.
#[derive(Debug, Default)]
pub struct LoopDetector {
    /// The name of the probe, and how often it has arrived.
    probe: Mutex<Option<(Name, u32)>>,
}

impl LoopDetector {
    /// Expects a probe for `name`, a fresh random one for each probe sent; `None` ends detection.
    pub fn watch(&self, name: Option<Name>) {
        *self.probe.lock().unwrap_or_else(PoisonError::into_inner) = name.map(|name| (name, 0));
    }

    /// True when `name` is the probe's and arrives for the second time: once directly, once
    /// through the loop.
    pub(crate) fn has_returned(&self, name: &[u8]) -> bool {
        let mut probe = self.probe.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((probe_name, arrivals)) = probe.as_mut() else { return false };
        if probe_name.as_wire() != name {
            return false;
        }
        *arrivals += 1;
        *arrivals > 1
    }
}
