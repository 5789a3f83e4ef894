//! Changes to the header and sections of every message of a server block (`header`, `minimal`), behind
//! the cache.

use wire::editable::EditableResponse;
use wire::header::Flags;
use wire::response::ResponseType;

/// What `header` and `minimal` change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageChanges {
    /// `header { query ... rd }`: RD of queries to upstreams; the client's if `None`.
    pub recursion_desired: Option<bool>,
    /// `header { response ... aa }`: AA of responses; the upstream's if `None`.
    pub authoritative: Option<bool>,
    /// `minimal`: positive responses have an answer section only.
    pub minimal: bool,
}

impl MessageChanges {
    /// True when responses stay as they are.
    pub(super) fn keeps_responses(&self) -> bool {
        self.authoritative.is_none() && !self.minimal
    }

    /// Changes a response of a type.
    pub(super) fn apply(&self, response_type: ResponseType, response: &mut EditableResponse) {
        if self.minimal && response_type == ResponseType::Positive {
            response.authorities.clear();
            response.additionals.clear();
        }
        let without = response.flags.only(Flags(!Flags::AA.0));
        match self.authoritative {
            Some(true) => response.flags = without.with(Flags::AA),
            Some(false) => response.flags = without,
            None => {}
        }
    }
}
