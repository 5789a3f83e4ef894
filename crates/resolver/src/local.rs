//! Answers of a server block's own directives (`template`, `hosts`, `whoami`), on a miss: behind the
//! cache, in place of an upstream.

mod alias;
mod hosts;
mod template;

use wire::answer::ResponseTtl;
use wire::edns::{ExtendedError, OptRecord};
use wire::header::{Class, Flags, Rcode};
use wire::name::NameBuffer;
use wire::query::RequestHeader;
use wire::response::ResponseType;
use wire::synthesized::{self, Owner, Sections, SynthesizedData, SynthesizedRecord};
use wire::{Answer, Response};

use crate::Resolver;
use crate::action::{Cause, Outbox};
use crate::cache::ttl::Cacheability;
use crate::cache::write::CacheTarget;
use crate::counters::Plugin;
use crate::inflight::completion::report_error;
use crate::policy::LocalPlugin;
use crate::policy::rewrite::Rewritten;
use crate::request::{Requester, RoutedQuery};
use crate::respond::{QueryCounters, ResponseSpec};
use crate::result::ErrorResponse;
use crate::transport::Transport;

/// What a directive of the block responds, instead of leaving the query to the next one.
pub(crate) enum LocalResult {
    /// A response with records, or one that says that there are none; with an extended error for
    /// clients with EDNS.
    Response(Response<'static>, Plugin, Option<ExtendedError>),
    /// An error response without records, which is cached if `rewrite` writes it; reported if it has a
    /// cause.
    Error(Rcode, Option<Cause>),
}

/// A response of the block's own directives, as it is presented to the client.
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
        let RoutedQuery { query, requester, route, .. } = *routed;
        let (counters, now) = (QueryCounters::of(route), requester.received);
        match local_response(routed, rewritten) {
            Some(LocalResult::Response(response, Plugin::Template, _))
                if self.look_up_alias(routed, &response, outbox) => {}
            Some(LocalResult::Response(response, plugin, error)) => {
                let plugin = route.block.writer(rewritten, plugin);
                let LocalAnswer { answer, ttl, plugin } = self.cache_local(routed, &response, plugin);
                let spec = ResponseSpec { error, ..ResponseSpec::resolved(answer.borrowed(), ttl, plugin) };
                requester.respond(spec, counters, now, outbox);
            }
            Some(LocalResult::Error(rcode, cause)) => {
                if let Some(cause) = cause {
                    report_error(route, rcode, (query.qtype, query.name.as_wire()), cause, outbox);
                }
                let has_cache = route.block.cache_for(query.name.as_wire()).is_some();
                let response = ErrorResponse::new(rcode);
                let response = rewritten.map_or(response, |rules| response.rewritten(rules, has_cache));
                if response.writer.is_some() {
                    self.cache_error(routed, response.rcode);
                }
                requester.respond_error(response, counters, now, outbox);
            }
            None => return false,
        }
        true
    }

    /// Refreshes a cached answer from the block's own directives; false when none of them has one.
    pub(crate) fn refresh_locally(
        &mut self,
        routed: &RoutedQuery<'_>,
        rewritten: Option<&Rewritten>,
    ) -> bool {
        match local_response(routed, rewritten) {
            // An alias is looked up for a client only: its entry expires.
            Some(LocalResult::Response(response, plugin, _))
                if alias::target(routed, &response).is_none() =>
            {
                self.cache_local(routed, &response, plugin);
                true
            }
            result => result.is_some(),
        }
    }

    /// Caches a response of the block's own directives like an upstream's.
    fn cache_local(
        &mut self,
        routed: &RoutedQuery<'_>,
        response: &Response<'_>,
        plugin: Plugin,
    ) -> LocalAnswer {
        let RoutedQuery { query, requester, route, .. } = *routed;
        let name = query.name.as_wire();
        let answer = Answer::from_response(response);
        let options = route.block.cache_for(name).filter(|_| query.qclass == Class::IN);
        let Some(options) = options else {
            return LocalAnswer { answer, ttl: ResponseTtl::AsReceived, plugin };
        };
        let cacheability = Cacheability::of(response, name, options);
        let target = CacheTarget { block: &route.block, options, key: self.cache.hashed(routed.key) };
        let (now, cached) = (requester.received, answer.borrowed());
        if response.response_type == ResponseType::ServerFailure {
            self.cache.cache_servfail(now, target, Some(cacheability), cached);
        } else {
            self.cache.cache_answer(now, target, Some(cacheability), cached);
        }
        LocalAnswer { answer, ttl: ResponseTtl::Uniform(cacheability.ttl), plugin: Plugin::Cache }
    }

    /// Caches an error response that `rewrite` writes, like an upstream's.
    fn cache_error(&mut self, routed: &RoutedQuery<'_>, rcode: Rcode) {
        let header = RequestHeader { id: 0, flags: Flags(0), edns: None, ..routed.requester.header };
        let mut message = Vec::new();
        wire::reply::error(&header, rcode, OptRecord::DEFAULT, &mut message);
        let response = Response::parse(&message).ok();
        // Without OPT a response has codes up to 15 only.
        if let Some(response) = response.filter(|response| response.rcode == rcode) {
            self.cache_local(routed, &response, Plugin::Rewrite);
        }
    }
}

/// True when one of the block's own directives answers a query that no rule rewrites.
pub(crate) fn has_local_response(routed: &RoutedQuery<'_>) -> bool {
    !routed.route.block.plugins.is_empty() && local_response(routed, None).is_some()
}

/// What the block's own directives respond, as the client gets it.
fn local_response(routed: &RoutedQuery<'_>, rewritten: Option<&Rewritten>) -> Option<LocalResult> {
    let RoutedQuery { query, requester, route, .. } = *routed;
    let result = match rewritten {
        None => plugin_result(routed)?,
        Some(rewritten) => {
            let mut buffer = NameBuffer::new();
            let sent = query.with_question(&rewritten.question, &mut buffer)?;
            let requester = Requester { header: sent.header, ..requester };
            plugin_result(&RoutedQuery { query: &sent, key: routed.key, requester, route })?
        }
    };
    Some(match result {
        LocalResult::Response(response, plugin, error) => {
            let changed = route.block.client_response(rewritten, &response, query.header.question);
            LocalResult::Response(changed.unwrap_or(response), plugin, error)
        }
        error => error,
    })
}

/// What the first directive that does not leave the query to the next one responds.
fn plugin_result(routed: &RoutedQuery<'_>) -> Option<LocalResult> {
    let mut plugins = routed.route.block.plugins_for(routed.query.name.as_wire());
    plugins.find_map(|plugin| plugin.answer(routed))
}

impl LocalPlugin {
    /// What it responds; `None` leaves the query to the next directive.
    fn answer(&self, routed: &RoutedQuery<'_>) -> Option<LocalResult> {
        match self {
            Self::Template(template) => template::answer(template, routed),
            Self::Hosts(hosts) => hosts::lookup(hosts, routed.query),
            Self::Whoami if routed.query.qclass != Class::IN => None,
            Self::Whoami => Some(LocalResult::Response(whoami(&routed.requester)?, Plugin::Whoami, None)),
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
    let record = |owner, data| SynthesizedRecord { owner, ttl: 0, data };
    let address = record(Owner::Question, SynthesizedData::Address(peer.ip().to_canonical()));
    let port = record(Owner::Child(transport), SynthesizedData::Port(peer.port()));
    let response = |additionals: &[SynthesizedRecord]| {
        let sections = Sections { additionals, ..Sections::default() };
        synthesized::response(requester.header.question, Rcode::NOERROR, sections)
    };
    // Behind the longest names there is no room for the label of the transport.
    response(&[address.clone(), port]).or_else(|| response(&[address]))
}
