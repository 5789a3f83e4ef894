//! Directives in front of the cache with arguments: `acl`, `chaos`.

use std::sync::Arc;

use resolver::policy::{AclAction, AclPolicy, AclRule, Chaos, FrontPlugin};
use wire::header::RecordType;

use crate::scenario::tokens::{parse_networks, zone};
use crate::text::{TextError, error};

/// `acl ZONE ACTION [type TYPES…] [net PREFIX/LENGTH…]`: a rule with one policy.
pub(super) fn acl_rule(name: &str, words: &[&str]) -> Result<AclRule, TextError> {
    let usage = || error("acl ZONE ACTION [type TYPES...] [net PREFIX/LENGTH...]");
    let Some((action, words)) = words.split_first() else { return usage() };
    let Some(action) = AclAction::from_name(action) else { return usage() };
    let mut sections = words.split(|word| *word == "net");
    let types = sections.next().unwrap_or_default();
    let networks = sections.next().unwrap_or_default();
    let types = types.strip_prefix(&["type"]).unwrap_or(types);
    let types: Option<Vec<_>> = types.iter().map(|word| RecordType::from_mnemonic(word)).collect();
    let (Some(types), Some(networks)) = (types, parse_networks(networks)) else { return usage() };
    Ok(AclRule { zones: vec![zone(name)?], policies: vec![AclPolicy { action, types, networks }] })
}

/// `chaos VERSION AUTHORS…`, on a node named `node`.
pub(super) fn chaos(version: &str, authors: &[&str]) -> FrontPlugin {
    let text = |word: &str| Arc::from(word.as_bytes());
    let authors = authors.iter().map(|author| text(author)).collect();
    FrontPlugin::Chaos(Arc::new(Chaos { version: text(version), authors, host_name: text("node") }))
}
