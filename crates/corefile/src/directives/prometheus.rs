//! ```text
//! prometheus [ADDRESS]
//! ```
//!
//! Listen address of `/metrics`, `HOST:PORT`; an empty HOST is every address of the node. ADDRESS
//! is `localhost:9153` by default. Queries of blocks without `prometheus` are not counted.

use std::net::SocketAddr;

use crate::error::ConfigError;
use crate::tree::Directive;
use crate::values::address::listen_argument;

pub(super) fn parse(directive: &Directive) -> Result<SocketAddr, ConfigError> {
    directive.no_options_but_unsupported(&["tls", "runtime_metrics"])?;
    listen_argument(directive, "localhost:9153")
}
