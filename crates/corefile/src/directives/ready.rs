//! ```text
//! ready [ADDRESS]
//! ```
//!
//! Listen address of `/ready`, `HOST:PORT`; an empty HOST is every address of the node. ADDRESS is
//! `:8181` by default.

use std::net::SocketAddr;

use crate::error::ConfigError;
use crate::tree::Directive;
use crate::values::address::listen_argument;

pub(super) fn parse(directive: &Directive) -> Result<SocketAddr, ConfigError> {
    directive.no_options_but_unsupported(&["monitor"])?;
    listen_argument(directive, ":8181")
}
