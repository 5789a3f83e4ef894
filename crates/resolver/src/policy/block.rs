//! Server blocks.

use std::net::SocketAddr;
use std::sync::Arc;

use wire::Response;
use wire::editable::EditableResponse;
use wire::name::Name;

use super::cache_options::CacheOptions;
use super::dns64::Dns64;
use super::forward::Forward;
use super::front_plugin::FrontPlugin;
use super::id::{BlockId, UpstreamId};
use super::load_balance::LoadBalance;
use super::local_plugin::LocalPlugin;
use super::message_changes::MessageChanges;
use super::rewrite::{RewriteRule, Rewritten};
use crate::counters::{BlockCounters, Plugin};
use crate::usage::Usage;

/// A server block: one chain of directives.
#[derive(Debug)]
pub struct Block {
    /// Its ID.
    pub id: BlockId,
    /// The last directive of its chain, which the error log names for a query that none answers; `None`
    /// if none of its directives handles queries.
    pub last_directive: Option<&'static str>,
    /// `bufsize`, 512 to 4096 octets, 1232 by default: the size limit of UDP responses, whatever
    /// the client's OPT allows, and the payload size our OPT announces.
    pub udp_size: u16,
    /// The `dns64` directive, in front of the cache.
    pub dns64: Option<Dns64>,
    /// The `cache` directive.
    pub cache: Option<CacheOptions>,
    /// Directives that answer queries in front of the cache, in the order of the chain.
    pub front: Vec<FrontPlugin>,
    /// `nsid`: the identifier of the server, at most 255 octets, for clients that ask for it.
    pub nsid: Option<Arc<[u8]>>,
    /// The `loadbalance` directive, in front of the cache.
    pub load_balance: Option<LoadBalance>,
    /// The `forward` directives; the first that matches a name takes it.
    pub forwards: Vec<Forward>,
    /// The `rewrite` directives, behind the cache and in front of all that answers.
    pub rewrites: Arc<[RewriteRule]>,
    /// `header` and `minimal`, behind `rewrite`.
    pub message_changes: MessageChanges,
    /// Directives that answer queries themselves, in the order of the chain. They are behind the
    /// cache.
    pub plugins: Vec<LocalPlugin>,
    /// Counters of its cache.
    pub counters: Arc<BlockCounters>,
    /// Cache usage of this block, shared by all workers.
    pub usage: Arc<Usage>,
}

impl Block {
    /// The first `forward` that matches a lower-case wire name.
    pub(crate) fn forward_for(&self, name: &[u8]) -> Option<usize> {
        self.forwards.iter().position(|forward| forward.options.matches(name))
    }

    /// The next `forward` after `forward` that matches a lower-case wire name.
    pub(crate) fn next_forward(&self, forward: usize, name: &[u8]) -> Option<usize> {
        let matches = |&index: &usize| self.forwards.get(index).is_some_and(|one| one.options.matches(name));
        (forward + 1..self.forwards.len()).find(matches)
    }

    /// The address of an upstream of its `forward` directives.
    pub(crate) fn upstream_addr(&self, id: UpstreamId) -> Option<SocketAddr> {
        let mut upstreams = self.forwards.iter().flat_map(|forward| &forward.upstreams);
        upstreams.find(|upstream| upstream.id == id).map(|upstream| upstream.addr)
    }

    /// The directives that answer queries for a lower-case wire name themselves, in order.
    pub(crate) fn plugins_for(&self, name: &[u8]) -> impl Iterator<Item = &LocalPlugin> {
        let is_first = |plugin: &&LocalPlugin| !plugin.follows_forward() || self.forward_for(name).is_none();
        self.plugins.iter().filter(is_first)
    }

    /// A response as the client gets it, with its `question`; `None` when that is the same, or if it
    /// cannot be encoded.
    pub(crate) fn client_response(
        &self,
        rewritten: Option<&Rewritten>,
        response: &Response<'_>,
        question: &[u8],
    ) -> Option<Response<'static>> {
        if rewritten.is_none() && self.message_changes.keeps_responses() {
            return None;
        }
        let mut editable = EditableResponse::new(response)?;
        self.message_changes.apply(response.response_type, &mut editable);
        if let Some(rewritten) = rewritten {
            rewritten.reverse(&mut editable, question);
        }
        editable.into_response()
    }

    /// The directive behind the cache that writes a response which `plugin` has.
    pub(crate) fn writer(&self, rewritten: Option<&Rewritten>, plugin: Plugin) -> Plugin {
        let MessageChanges { recursion_desired, authoritative, minimal } = self.message_changes;
        if rewritten.is_some_and(Rewritten::writes_responses) {
            Plugin::Rewrite
        } else if recursion_desired.is_some() || authoritative.is_some() {
            Plugin::Header
        } else if minimal {
            Plugin::Minimal
        } else {
            plugin
        }
    }

    /// The `cache` directive, for names in its zones.
    pub(crate) fn cache_for(&self, name: &[u8]) -> Option<&CacheOptions> {
        self.cache.as_ref().filter(|cache| cache.covers(name))
    }

    /// The `cache` directive and the longest zone of its `nxdomain_cut` with a name whose negative answers
    /// are cached.
    pub(crate) fn nxdomain_cut_for(&self, name: &[u8]) -> Option<(&CacheOptions, &Name)> {
        let cache = self.cache_for(name).filter(|cache| !cache.denial.is_disabled_for(name))?;
        let zones = cache.nxdomain_cut.iter().filter(|zone| zone.covers(name));
        Some((cache, zones.max_by_key(|zone| zone.as_wire().len())?))
    }
}
