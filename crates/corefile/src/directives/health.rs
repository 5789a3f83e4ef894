//! ```text
//! health [ADDRESS] {
//!     lameduck DURATION
//! }
//! ```
//!
//! Listen address of `/health`, `HOST:PORT`; an empty HOST is every address of the node. ADDRESS is
//! `:8080` by default. DNS is served for `lameduck` after SIGTERM.

use std::net::SocketAddr;
use std::time::Duration;

use crate::error::ConfigError;
use crate::tree::Directive;
use crate::values::address::listen_argument;
use crate::values::duration;

pub(super) fn parse(directive: &Directive) -> Result<(SocketAddr, Duration), ConfigError> {
    let address = listen_argument(directive, ":8080")?;
    let mut lameduck = Duration::ZERO;
    for option in &directive.options {
        if !option.name.is("lameduck") {
            return Err(ConfigError::unknown_option(&option.name, &["lameduck"]));
        }
        lameduck = duration(option.single_argument()?)?;
    }
    Ok((address, lameduck))
}
