//! Fingerprint of a server block: everything that the validity of its cache entries depends on.

use resolver::policy::template::{RecordTemplate, Template};
use resolver::policy::{CacheOptions, Hosts, LocalPlugin, MessageChanges, StoreOptions};
use wire::header::Rcode;
use wire::name::Name;

use crate::directives::BlockDirectives;
use crate::settings::{Forward, ServerBlockKey};

/// Zones, upstreams, rules that change responses, directives that answer themselves, and TTL limits.
/// Options about serving or refreshing entries are not part of it.
///
/// The first address is, because blocks for one zone on different addresses have separate caches.
pub(crate) fn fingerprint(keys: &[ServerBlockKey], directives: &BlockDirectives) -> String {
    let zones: Vec<String> = keys.iter().map(|key| format!("{}:{}", key.zone, key.port)).collect();
    let cache = directives.cache.as_ref().map(cache_part).unwrap_or_default();
    let forwards: Vec<String> = directives.forwards.iter().map(forward_part).collect();
    let address = directives.bind.first(0);
    let mut text =
        format!("{} on {address:?} cache {cache} forward {}", zones.join(" "), forwards.join("; "));
    if !directives.rewrites.is_empty() {
        text.push_str(&format!(" rewrite {:?}", directives.rewrites));
    }
    if directives.message_changes != MessageChanges::default() {
        text.push_str(&format!(" {:?}", directives.message_changes));
    }
    for plugin in directives.plugins() {
        match plugin {
            LocalPlugin::Template(template) => text.push_str(&template_part(&template)),
            LocalPlugin::Hosts(hosts) => text.push_str(&hosts_part(&hosts, directives)),
            LocalPlugin::Whoami => text.push_str(" whoami"),
        }
    }
    text
}

/// With a digest of the entries: a changed file makes cached answers invalid.
fn hosts_part(hosts: &Hosts, directives: &BlockDirectives) -> String {
    let digest = directives.hosts.as_ref().map(|hosts| &*hosts.digest).unwrap_or_default();
    let Hosts { ttl, passes_other_types, .. } = hosts;
    let (zones, fallthrough) = (join_names(&hosts.zones), join_names(&hosts.fallthrough));
    format!(" hosts [{zones}] {ttl} [{fallthrough}] {passes_other_types} {digest}")
}

fn cache_part(cache: &CacheOptions) -> String {
    let store = |store: &StoreOptions| {
        format!("{} {} [{}]", store.max_ttl, store.min_ttl, join_names(&store.disabled))
    };
    let (success, denial) = (store(&cache.success), store(&cache.denial));
    format!("[{}] {success} {denial} {:?}", join_names(&cache.zones), cache.servfail)
}

fn forward_part(forward: &Forward) -> String {
    let options = &forward.options;
    let mut upstreams: Vec<String> = forward.upstreams.iter().map(ToString::to_string).collect();
    upstreams.sort();
    let (failover, next) = (join_rcodes(&options.failover), join_rcodes(&options.next));
    let fallback = format!("[{failover}] [{next}] {}", options.next_on_nodata);
    let except = join_names(&options.except);
    format!("{} except [{except}] to {} or {fallback}", options.from, upstreams.join(" "))
}

fn template_part(template: &Template) -> String {
    let sources =
        |records: &[RecordTemplate]| records.iter().map(|one| format!("{:?}", one.source())).collect();
    let [answers, authorities, additionals]: [Vec<String>; 3] =
        [&template.answers, &template.authorities, &template.additionals].map(|records| sources(records));
    let patterns: Vec<&str> = template.patterns.iter().map(|pattern| pattern.0.as_str()).collect();
    format!(
        " template {} {} [{}] {patterns:?} {} {answers:?} {authorities:?} {additionals:?} or [{}]",
        template.class,
        template.qtype,
        join_names(&template.zones),
        template.rcode,
        join_names(&template.fallthrough),
    )
}

fn join_names(zones: &[Name]) -> String {
    zones.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn join_rcodes(rcodes: &[Rcode]) -> String {
    rcodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
