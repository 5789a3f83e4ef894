//! Result of an upstream query: a response or an error, for local waiters and for other workers.

use std::sync::Arc;

use wire::Answer;
use wire::answer::ResponseTtl;
use wire::edns::ExtendedError;
use wire::header::Rcode;

use crate::cache::Entry;
use crate::counters::Plugin;
use crate::policy::UpstreamId;
use crate::policy::rewrite::Rewritten;

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
        answer: SharedAnswer,
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

/// The answer of a result.
#[derive(Clone, Debug)]
pub(crate) enum SharedAnswer {
    /// That of a cache entry.
    Cached(Entry),
    /// One that is not cached.
    Relayed(Arc<Answer>),
}

impl SharedAnswer {
    pub(crate) fn borrowed(&self) -> Answer<&[u8]> {
        match self {
            Self::Cached(entry) => entry.answer(),
            Self::Relayed(answer) => answer.borrowed(),
        }
    }
}

/// An error response of our own: no records, an RCODE, optionally an extended error (RFC 8914).
#[derive(Clone, Copy, Debug)]
pub(crate) struct ErrorResponse {
    pub(crate) rcode: Rcode,
    pub(crate) error: Option<ExtendedError>,
    /// Which directive writes it. Without one it takes the place of a missing response, and counts with
    /// length 0, as in CoreDNS.
    pub(crate) writer: Option<Plugin>,
}

impl ErrorResponse {
    /// An error response without an extended error.
    pub(crate) const fn new(rcode: Rcode) -> Self {
        Self { rcode, error: None, writer: None }
    }

    /// The same with an extended error.
    pub(crate) fn with_error(self, error: ExtendedError) -> Self {
        Self { error: Some(error), ..self }
    }

    /// The same as the client of a rewritten query gets it, in or without the zones of `cache`.
    pub(crate) fn rewritten(self, rewritten: &Rewritten, has_cache: bool) -> Self {
        if !rewritten.writes_errors() {
            return self;
        }
        let writer = if has_cache { Plugin::Cache } else { Plugin::Rewrite };
        Self { rcode: rewritten.rcode(self.rcode), writer: Some(writer), ..self }
    }

    /// The same written by a directive.
    pub(crate) fn written_by(self, plugin: Plugin) -> Self {
        Self { writer: Some(plugin), ..self }
    }
}
