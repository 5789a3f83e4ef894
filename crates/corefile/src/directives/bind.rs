//! ```text
//! bind ADDRESS|INTERFACE... {
//!     except ADDRESS|INTERFACE...
//! }
//! ```
//!
//! Addresses that the block listens on. INTERFACE is replaced by all addresses it has when the
//! Corefile is read. Several `bind` lines add up. If `except` leaves no address, the block does not
//! listen.

use std::net::SocketAddr;

use super::context::DirectiveContext;
use crate::error::ConfigError;
use crate::listeners::{Bind, BindAddress};
use crate::token::Token;
use crate::tree::Directive;
use crate::values::address::{InvalidIp, parse_ip, unknown_interface};

pub(super) fn parse(
    directive: &Directive,
    context: &mut DirectiveContext<'_>,
    bind: &mut Bind,
) -> Result<(), ConfigError> {
    let line = &directive.line;
    if line.args.is_empty() {
        return Err(ConfigError::at(&line.name, "at least one address or interface name is expected"));
    }
    let mut except = Vec::new();
    for option in &directive.options {
        if !option.name.is("except") {
            let reason = format!("invalid option {:?}", option.name.text);
            return Err(ConfigError::unknown(&option.name, reason, &["except"]));
        }
        if option.args.is_empty() {
            let reason = "at least one address or interface must be given to except subdirective";
            return Err(ConfigError::at(&option.name, reason));
        }
        except.extend(addresses(&option.args, context)?);
    }
    let mut bound = match std::mem::replace(bind, Bind::Wildcard) {
        Bind::Wildcard => Vec::new(),
        Bind::Addresses(before) => before,
    };
    for address in addresses(&line.args, context)? {
        let excepted = except.iter().any(|other| other.socket == address.socket);
        if !excepted && bound.iter().all(|other| other.socket != address.socket) {
            bound.push(address);
        }
    }
    if bound.is_empty() {
        let location = line.name.location();
        context.warnings.push(format!("{location} - except leaves no address: the block does not listen"));
    }
    *bind = Bind::Addresses(bound);
    Ok(())
}

fn addresses(args: &[Token], context: &DirectiveContext<'_>) -> Result<Vec<BindAddress>, ConfigError> {
    let mut addresses = Vec::new();
    for argument in args {
        match parse_ip(&argument.text, 0, context.host) {
            Ok(socket) => {
                let zone = argument.text.split_once('%').map(|(_, zone)| zone);
                addresses.push(bind_address(socket, zone, argument));
                continue;
            }
            Err(InvalidIp::UnknownInterface) => {
                return Err(ConfigError::at(argument, unknown_interface(&argument.text)));
            }
            Err(InvalidIp::NotAnAddress) => {}
        }
        let found = context.host.interface_addresses(&argument.text).map_err(|error| {
            ConfigError::at(argument, format!("cannot list the addresses of {:?}: {error}", argument.text))
        })?;
        if found.is_empty() {
            let reason = match argument.text.contains("__PILLAR__") {
                true => format!("{:?} was not replaced by an address; {PILLAR_REMEDY}", argument.text),
                false => format!("not a valid IP address or interface name: {:?}", argument.text),
            };
            return Err(ConfigError::at(argument, reason));
        }
        addresses
            .extend(found.into_iter().map(|socket| bind_address(socket, Some(&argument.text), argument)));
    }
    Ok(addresses)
}

const PILLAR_REMEDY: &str = "variables are replaced in the file of -basecorefile, not in that of -conf";

/// An address with its label, which includes the interface for a link-local one.
fn bind_address(socket: SocketAddr, interface: Option<&str>, argument: &Token) -> BindAddress {
    let label = match (socket, interface) {
        (SocketAddr::V6(v6), Some(interface)) if v6.scope_id() != 0 => format!("{}%{interface}", v6.ip()),
        _ => socket.ip().to_string(),
    };
    BindAddress { socket, label, location: argument.location() }
}
