//! Locks, atomics and hash keys of what workers share: those of std, or, in the models that
//! `scripts/sanitizers models` runs, those of loom, and hash keys that are the same in every run.

#[cfg(not(all(test, loom_models)))]
pub(crate) use {
    foldhash::fast::RandomState as FoldHashState,
    std::hash::RandomState,
    std::sync::{Mutex, MutexGuard, atomic},
};

#[cfg(all(test, loom_models))]
pub(crate) use {
    foldhash::fast::FixedState as FoldHashState,
    loom::sync::{Mutex, MutexGuard, atomic},
};

#[cfg(all(test, loom_models))]
pub(crate) type RandomState = std::hash::BuildHasherDefault<std::hash::DefaultHasher>;
