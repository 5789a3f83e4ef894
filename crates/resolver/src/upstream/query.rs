//! What is sent upstream for one question: shared by an in-flight query, its attempts, and late
//! responses after it has ended.

use std::sync::Arc;

use wire::Response;
use wire::header::{Class, Flags, RecordType};

use crate::action::Client;
use crate::cache::{HashedKey, OwnedKey};
use crate::policy::rewrite::Rewritten;
use crate::policy::{Forward, Route, Upstream};
use crate::request::RoutedQuery;
use crate::result::ErrorResponse;
use crate::transport::Transport;

/// A query to upstreams.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamQuery {
    pub(crate) route: Arc<Route>,
    /// Index among the block's forwards, if one covers the name.
    pub(crate) forward: Option<usize>,
    key: OwnedKey,
    /// It is cached, and equal queries are coalesced.
    is_shared: bool,
    /// What `rewrite` has made of it, if a rule applied.
    pub(crate) rewritten: Option<Box<Rewritten>>,
    /// The question section as the first client sent it.
    pub(crate) question: Box<[u8]>,
    pub(crate) qtype: RecordType,
    pub(crate) qclass: Class,
    pub(crate) flags: Flags,
    pub(crate) dnssec_ok: bool,
    /// The first client.
    pub(crate) client: Client,
    /// Its transport.
    pub(crate) client_transport: Transport,
    /// Sent to learn whether QNAME is an NXDOMAIN cut for this name, or QNAME itself.
    pub(crate) cut_for: Option<Box<[u8]>>,
}

impl UpstreamQuery {
    pub(crate) fn new(
        routed: &RoutedQuery<'_>,
        rewritten: Option<Box<Rewritten>>,
        (key, is_shared): (HashedKey<'_>, bool),
    ) -> Self {
        let RoutedQuery { query, route, .. } = *routed;
        let name = rewritten.as_ref().map_or(query.name.as_wire(), |rewritten| &rewritten.name);
        Self {
            route: Arc::clone(route),
            forward: route.block.forward_for(name),
            key: OwnedKey::new(key),
            is_shared,
            rewritten,
            question: query.header.question.into(),
            qtype: query.qtype,
            qclass: query.qclass,
            flags: query.header.flags,
            dnssec_ok: query.header.edns.is_some_and(|edns| edns.dnssec_ok),
            client: routed.requester.client,
            client_transport: routed.requester.client.transport(),
            cut_for: None,
        }
    }

    /// The same through another forward of the block.
    pub(crate) fn through(&self, forward: usize) -> Self {
        Self { forward: Some(forward), ..self.clone() }
    }

    /// Cache key, by which queries are coalesced; none for queries that are neither cached nor
    /// coalesced.
    pub(crate) fn shared_key(&self) -> Option<&OwnedKey> {
        self.is_shared.then_some(&self.key)
    }

    /// QNAME, lower case, in wire form.
    pub(crate) fn name(&self) -> &[u8] {
        self.key.name()
    }

    /// The question section that upstreams get.
    pub(crate) fn sent_question(&self) -> &[u8] {
        self.rewritten.as_ref().map_or(&self.question, |rewritten| &rewritten.question)
    }

    /// QNAME that upstreams get, lower case, in wire form.
    pub(crate) fn sent_name(&self) -> &[u8] {
        self.rewritten.as_ref().map_or_else(|| self.name(), |rewritten| &rewritten.name)
    }

    /// EDNS options that upstreams get, encoded.
    pub(crate) fn sent_options(&self) -> &[u8] {
        self.rewritten.as_ref().map_or(&[], |rewritten| &rewritten.options)
    }

    /// The response as clients get it; see [`Block::client_response`](crate::policy::Block).
    pub(crate) fn client_response(&self, response: &Response<'_>) -> Option<Response<'static>> {
        self.route.block.client_response(self.rewritten.as_deref(), response, &self.question)
    }

    /// An error response as clients get it.
    pub(crate) fn client_error(&self, response: ErrorResponse) -> ErrorResponse {
        let has_cache = self.route.block.cache_for(self.name()).is_some();
        self.rewritten.as_ref().map_or(response, |rewritten| response.rewritten(rewritten, has_cache))
    }

    pub(crate) fn forward(&self) -> Option<&Forward> {
        self.route.block.forwards.get(self.forward?)
    }

    /// An upstream of the forward.
    pub(crate) fn upstream(&self, index: usize) -> Option<&Upstream> {
        self.forward()?.upstreams.get(index)
    }
}
