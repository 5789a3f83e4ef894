//! `failover`, `next` and `next_on_nodata` of `forward`.
//!
//! After a response with an RCODE of `failover`, the next upstream is tried; the last upstream's
//! response is relayed. After an RCODE of `next`, and with `next_on_nodata` after NODATA, the next
//! `forward` of the block is tried.

use wire::header::Rcode;

use crate::error::ConfigError;
use crate::token::Token;
use crate::tree::{Directive, Line};

/// RCODEs other than NOERROR.
pub(super) fn failover(option: &Line) -> Result<Vec<Rcode>, ConfigError> {
    let rcodes = rcodes(option)?;
    match option.args.iter().zip(&rcodes).find(|(_, rcode)| **rcode == Rcode::NOERROR) {
        Some((token, _)) => Err(ConfigError::at(token, "NoError cannot be used in failover")),
        None => Ok(rcodes),
    }
}

pub(super) fn rcodes(option: &Line) -> Result<Vec<Rcode>, ConfigError> {
    option.arguments(1, usize::MAX)?.iter().map(rcode).collect()
}

/// Parses the mnemonic of an RCODE, in any case.
fn rcode(token: &Token) -> Result<Rcode, ConfigError> {
    let upper = token.text.to_uppercase();
    let mnemonic = match upper.as_str() {
        // Synonyms: RFC 8945 section 3, and a misspelling that CoreDNS accepts.
        "BADSIG" => "BADVERS",
        "NOTIMPL" => "NOTIMP",
        mnemonic => mnemonic,
    };
    let reason = || format!("{} is not a valid rcode", token.text);
    Rcode::from_mnemonic(mnemonic).ok_or_else(|| ConfigError::at(token, reason()))
}

/// A warning for `next` in the last `forward` of a block.
pub(in crate::directives) fn next_without_successor(directives: &[Directive]) -> Option<String> {
    let last = directives.iter().rfind(|directive| directive.name().is("forward"))?;
    let names = ["next", "next_on_nodata"];
    let Line { name, .. } = last.options.iter().find(|option| names.contains(&&*option.name.text))?;
    let location = name.location();
    Some(format!("{location} - no forward follows in this block: {} has no effect", name.text))
}
