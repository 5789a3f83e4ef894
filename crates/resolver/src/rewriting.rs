//! Question of a miss for upstreams: what the `rewrite` directives of a block make of a client's query.

use std::net::SocketAddr;

use wire::name::PresentationFormat;

use crate::Resolver;
use crate::action::Cause;
use crate::policy::rewrite::{QueryFacts, Rewritten};
use crate::request::RoutedQuery;
use crate::transport::Transport;

impl Resolver {
    /// What the block's rules make of a query; `None` when none applies.
    ///
    /// # Errors
    /// An invalid name.
    pub(crate) fn rewrite(&self, routed: &RoutedQuery<'_>) -> Result<Option<Box<Rewritten>>, Cause> {
        let RoutedQuery { query, requester, route, .. } = *routed;
        let rules = &route.block.rewrites;
        if rules.is_empty() {
            return Ok(None);
        }
        let client = requester.client;
        let listener = self.policy.listener(client.listener).and_then(|listener| listener.address);
        let received_at = |listener: SocketAddr| match client.local {
            Some(ip) => SocketAddr::new(ip, listener.port()),
            None => listener,
        };
        let facts = QueryFacts {
            name: PresentationFormat(query.name.as_wire()).to_string(),
            qtype: query.qtype,
            qclass: query.qclass,
            client: client.peer,
            protocol: match client.transport() {
                Transport::Udp => "udp",
                Transport::Tcp => "tcp",
            },
            server: listener.map(received_at),
        };
        let rewritten = Rewritten::new(rules, query.header.question, facts);
        rewritten.map(|rewritten| rewritten.map(Box::new)).map_err(Cause::InvalidName)
    }
}
