//! `failover`, `next` and `next_on_nodata`: answers with which others are asked.
//!
//! An answer with one of the response codes of `failover` has the next upstream asked; with none left it is
//! told. An answer with one of those of `next`, and with `next_on_nodata` one that says NOERROR and has not the
//! type asked for, has the following `forward` of the block asked.

use wire::header::Rcode;

use crate::error::ConfigError;
use crate::lexer::Token;
use crate::tree::Words;

/// The last response code that has a name (RFC 7873 section 8, BADCOOKIE).
const LAST_NAMED: u16 = 23;

/// Response codes other than NOERROR.
pub(super) fn failover(option: &Words) -> Result<Vec<Rcode>, ConfigError> {
    let codes = rcodes(option)?;
    match option.args.iter().zip(&codes).find(|(_, code)| **code == Rcode::NOERROR) {
        Some((token, _)) => Err(ConfigError::at(token, "NoError cannot be used in failover")),
        None => Ok(codes),
    }
}

pub(super) fn rcodes(option: &Words) -> Result<Vec<Rcode>, ConfigError> {
    option.arguments(1, usize::MAX)?.iter().map(rcode).collect()
}

/// Reads the name of a response code in any case.
fn rcode(token: &Token) -> Result<Rcode, ConfigError> {
    let text = match token.text.to_uppercase() {
        // Other names for the same (RFC 8945 section 3, and a slip that CoreDNS takes).
        alias if alias == "BADSIG" => "BADVERS".to_owned(),
        alias if alias == "NOTIMPL" => "NOTIMP".to_owned(),
        // How a code without name is shown, which is no name.
        number if number.starts_with("RCODE") => String::new(),
        name => name,
    };
    let code = (0..=LAST_NAMED).map(Rcode).find(|code| code.to_string() == text);
    code.ok_or_else(|| ConfigError::at(token, format!("{} is not a valid rcode", token.text)))
}
