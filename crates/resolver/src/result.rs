//! Result of an upstream query: a response or an error, for local waiters and for other workers.

use wire::Answer;
use wire::answer::ResponseTtl;
use wire::edns::ExtendedError;
use wire::header::Rcode;

use crate::counters::Plugin;
use crate::policy::UpstreamId;

/// A query's result as the owning worker hands it to the workers that coalesced with it.
#[derive(Clone, Debug)]
pub struct SharedResult {
    pub(crate) result: QueryResult,
    /// The upstream of the response, or that was queried last.
    pub(crate) upstream: Option<UpstreamId>,
}

/// How an in-flight query ended.
#[derive(Clone, Debug)]
pub(crate) enum QueryResult {
    /// An upstream responded.
    Response {
        answer: Answer,
        ttl: ResponseTtl,
        plugin: Plugin,
        /// Preferred to a stale answer: NOERROR or NXDOMAIN, complete, not excluded by
        /// `serve_stale_policy`.
        replaces_stale: bool,
    },
    /// No upstream did, or no query was sent.
    Error {
        response: ErrorResponse,
        /// In an outage: no upstream of the forward responded to anything.
        is_outage: bool,
    },
}

/// An error response of our own: no records, an RCODE, optionally an extended error (RFC 8914).
#[derive(Clone, Copy, Debug)]
pub(crate) struct ErrorResponse {
    pub(crate) rcode: Rcode,
    pub(crate) error: Option<ExtendedError>,
}

impl ErrorResponse {
    /// An error response without an extended error.
    pub(crate) fn new(rcode: Rcode) -> Self {
        Self { rcode, error: None }
    }
}
