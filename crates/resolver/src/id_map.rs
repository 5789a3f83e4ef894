//! Hash map by numbers that this process has assigned: no client chooses them, so that a cheap hash is
//! enough.

use std::collections::HashMap;

/// A map by such numbers.
pub type IdMap<K, V> = HashMap<K, V, foldhash::fast::RandomState>;
