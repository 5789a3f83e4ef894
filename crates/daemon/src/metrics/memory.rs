//! Memory of each part of the memory plan: its cap and its use (`nodelocaldns_memory_*`).

use std::fmt;
use std::sync::OnceLock;

use super::family::Family;

/// One part of the memory plan.
pub struct MemoryPart {
    /// The `part` label.
    pub name: &'static str,
    /// In octets.
    pub limit: u64,
    /// Octets in use.
    pub used: Box<dyn Fn() -> u64 + Send + Sync>,
}

/// The parts, once the process has started.
#[derive(Default)]
pub struct MemoryParts(OnceLock<Vec<MemoryPart>>);

impl fmt::Debug for MemoryParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryParts").finish_non_exhaustive()
    }
}

impl MemoryParts {
    /// Sets the parts; the first call counts.
    pub fn set(&self, parts: Vec<MemoryPart>) {
        self.0.get_or_init(|| parts);
    }

    /// The parts; none before the process has started.
    pub(crate) fn parts(&self) -> &[MemoryPart] {
        self.0.get().map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn families(&self) -> Vec<Family> {
        let Some(parts) = self.0.get() else { return Vec::new() };
        let mut limits =
            Family::gauge("nodelocaldns_memory_limit_bytes", "Memory that a part of the process may take.");
        let mut used = Family::gauge("nodelocaldns_memory_used_bytes", "Memory that it takes.");
        for part in parts {
            limits.series(&[("part", part.name)], part.limit as f64);
            used.series(&[("part", part.name)], (part.used)() as f64);
        }
        vec![limits, used]
    }
}
