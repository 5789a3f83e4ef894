//! Answers of a server block's own directives (`whoami`), on a miss: behind the cache, in place of an
//! upstream.

use std::sync::Arc;

use wire::answer::ResponseTtl;
use wire::header::Class;
use wire::synthesized::{self, SynthesizedData, SynthesizedRecord};
use wire::{Answer, Response};

use crate::Resolver;
use crate::action::Outbox;
use crate::cache::Key;
use crate::cache::ttl::Cacheability;
use crate::cache::write::CacheTarget;
use crate::counters::Plugin;
use crate::policy::LocalPlugin;
use crate::policy::rewrite::Rewritten;
use crate::request::{Requester, RoutedQuery};
use crate::respond::{QueryCounters, ResponseSpec};
use crate::transport::Transport;

/// An answer of the block's own directives.
struct LocalAnswer {
    answer: Answer,
    ttl: ResponseTtl,
    plugin: Plugin,
}

impl Resolver {
    /// Responds with the answer of the block's own directives; false when none of them has one.
    pub(crate) fn answer_locally(
        &mut self,
        routed: &RoutedQuery<'_>,
        rewritten: Option<&Rewritten>,
        outbox: &mut Outbox,
    ) -> bool {
        let RoutedQuery { requester, route, .. } = *routed;
        let local = self.local_answer(routed, rewritten);
        let Some(LocalAnswer { answer, ttl, plugin }) = local else { return false };
        let spec = ResponseSpec { answer: &answer, ttl, plugin, error: None, authoritative: false };
        requester.respond(spec, QueryCounters::of(route), requester.received, outbox);
        true
    }

    /// Refreshes a cached answer from the block's own directives; false when none of them has one.
    pub(crate) fn refresh_locally(
        &mut self,
        routed: &RoutedQuery<'_>,
        rewritten: Option<&Rewritten>,
    ) -> bool {
        self.local_answer(routed, rewritten).is_some()
    }

    /// The answer of the block's own directives, cached like an upstream's.
    fn local_answer(
        &mut self,
        routed: &RoutedQuery<'_>,
        rewritten: Option<&Rewritten>,
    ) -> Option<LocalAnswer> {
        let RoutedQuery { query, requester, route } = *routed;
        let (response, plugin) = match rewritten {
            None => plugin_response(routed)?,
            Some(rewritten) => {
                let sent = query.with_question(&rewritten.question)?;
                let requester = Requester { header: sent.header, ..requester };
                plugin_response(&RoutedQuery { query: &sent, requester, route })?
            }
        };
        let changed = route.block.client_response(rewritten, &response, query.header.question);
        let response = changed.unwrap_or(response);
        let name = query.name.as_wire();
        let answer = Answer::from_response(&response);
        if query.qclass != Class::IN {
            return Some(LocalAnswer { answer, ttl: ResponseTtl::AsReceived, plugin });
        }
        let Some(options) = route.block.cache_for(name) else {
            return Some(LocalAnswer { answer, ttl: ResponseTtl::AsReceived, plugin });
        };
        let cacheability = Cacheability::of(&response, name, options);
        let key = Arc::from(Key::new(route.block.id, query).as_bytes());
        let target = CacheTarget { block: &route.block, options, key: &key };
        self.cache.cache_answer(requester.received, target, Some(cacheability), &answer);
        Some(LocalAnswer { answer, ttl: ResponseTtl::Uniform(cacheability.ttl), plugin: Plugin::Cache })
    }
}

/// The response of the first directive that has one, and its source.
fn plugin_response(routed: &RoutedQuery<'_>) -> Option<(Response<'static>, Plugin)> {
    let RoutedQuery { query, requester, route } = *routed;
    if query.qclass != Class::IN {
        return None;
    }
    let mut plugins = route.block.plugins_for(query.name.as_wire());
    plugins.find_map(|plugin| plugin.answer(&requester))
}

impl LocalPlugin {
    /// The answer, if it has one, and its source.
    fn answer(&self, requester: &Requester<'_>) -> Option<(Response<'static>, Plugin)> {
        match self {
            Self::Whoami => Some((whoami(requester)?, Plugin::Whoami)),
        }
    }
}

/// Address and port of the client, as additional records with TTL 0.
fn whoami(requester: &Requester<'_>) -> Option<Response<'static>> {
    let peer = requester.client.peer;
    let transport = match requester.client.transport() {
        Transport::Udp => "_udp",
        Transport::Tcp => "_tcp",
    };
    let record = |prefix, data| SynthesizedRecord { prefix, ttl: 0, data };
    let address = record(None, SynthesizedData::Address(peer.ip().to_canonical()));
    let port = record(Some(transport), SynthesizedData::Port(peer.port()));
    let question = requester.header.question;
    // Behind the longest names there is no room for the label of the transport.
    synthesized::response(question, &[], &[address.clone(), port])
        .or_else(|| synthesized::response(question, &[], &[address]))
}
