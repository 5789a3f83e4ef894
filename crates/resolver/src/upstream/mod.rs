//! Upstream selection, attempts, hedging, health checks, and the disposition of responses.

pub(crate) mod attempt;
pub(crate) mod disposition;
pub(crate) mod health;
pub(crate) mod hedge;
pub(crate) mod mismatch;
pub(crate) mod selection;
