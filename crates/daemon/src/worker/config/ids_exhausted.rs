//! Exhaustion of identifiers of listeners, server blocks or upstreams.

use std::fmt;

/// All 65,536 identifiers of a kind are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IdsExhausted;

impl fmt::Display for IdsExhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "65,536 different listeners or upstreams have been configured since the start, or as many server blocks \
             are in use: restart the process",
        )
    }
}
