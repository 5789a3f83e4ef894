//! What is sent upstream for one question: shared by an in-flight query, its attempts, and late
//! responses after it has ended.

use std::sync::Arc;

use wire::header::{Class, Flags, RecordType};

use crate::policy::{Forward, Route, Upstream};
use crate::request::RoutedQuery;
use crate::transport::Transport;

/// A query to upstreams.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamQuery {
    pub(crate) route: Arc<Route>,
    /// Index among the block's forwards, if one covers the name.
    pub(crate) forward: Option<usize>,
    /// Cache key, by which queries are coalesced; none for queries that are neither cached nor
    /// coalesced.
    pub(crate) key: Option<Arc<[u8]>>,
    /// The question section as the first client sent it.
    pub(crate) question: Box<[u8]>,
    /// QNAME, lower case, in wire form.
    pub(crate) name: Box<[u8]>,
    pub(crate) qtype: RecordType,
    pub(crate) qclass: Class,
    pub(crate) flags: Flags,
    pub(crate) dnssec_ok: bool,
    /// Transport of the first client.
    pub(crate) client_transport: Transport,
}

impl UpstreamQuery {
    pub(crate) fn new(routed: &RoutedQuery<'_>, key: Option<Arc<[u8]>>) -> Self {
        let RoutedQuery { query, route, .. } = *routed;
        Self {
            route: Arc::clone(route),
            forward: route.block.forward_for(query.name.as_wire()),
            key,
            question: query.header.question.into(),
            name: query.name.as_wire().into(),
            qtype: query.qtype,
            qclass: query.qclass,
            flags: query.header.flags,
            dnssec_ok: query.header.edns.is_some_and(|edns| edns.dnssec_ok),
            client_transport: routed.requester.client.transport(),
        }
    }

    pub(crate) fn forward(&self) -> Option<&Forward> {
        self.route.block.forwards.get(self.forward?)
    }

    /// An upstream of the forward.
    pub(crate) fn upstream(&self, index: usize) -> Option<&Upstream> {
        self.forward()?.upstreams.get(index)
    }
}
