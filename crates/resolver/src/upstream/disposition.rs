//! Response disposition: whether a response completes its query, is repeated without EDNS, or has
//! another upstream or `forward` tried.

use wire::Response;
use wire::header::Rcode;
use wire::response::ResponseType;

use super::attempt::Attempt;

/// What is done with a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// It completes the query.
    Complete,
    /// The upstream does not support EDNS: the attempt is repeated without OPT.
    RetryWithoutEdns,
    /// The next upstream is tried (`failover`).
    NextUpstream,
    /// The `forward` of this index is tried (`next`, `next_on_nodata`).
    NextForward(usize),
    /// An error in response to a probe: the attempt at a regular upstream is awaited.
    Ignore,
}

impl Disposition {
    /// `another_upstream` tells whether another upstream may still respond.
    pub(crate) fn of(
        attempt: &Attempt,
        response: &Response<'_>,
        another_upstream: impl FnOnce() -> bool,
    ) -> Self {
        let (query, rcode) = (&attempt.query, response.rcode);
        let Some(forward) = query.forward() else { return Self::Complete };
        if attempt.is_probe() && !matches!(rcode, Rcode::NOERROR | Rcode::NXDOMAIN) {
            return Self::Ignore;
        }
        if attempt.edns && matches!(rcode, Rcode::FORMERR | Rcode::NOTIMP) && !response.has_opt() {
            return Self::RetryWithoutEdns;
        }
        let options = &forward.options;
        if options.failover.contains(&rcode) && another_upstream() {
            return Self::NextUpstream;
        }
        let nodata = rcode == Rcode::NOERROR && response.response_type != ResponseType::Positive;
        if options.next.contains(&rcode) || options.next_on_nodata && nodata {
            let next = query.forward.and_then(|from| query.route.block.next_forward(from, query.sent_name()));
            return next.map_or(Self::Complete, Self::NextForward);
        }
        Self::Complete
    }
}
