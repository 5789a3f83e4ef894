//! ```text
//! bind ADDRESS|INTERFACE... {
//!     except ADDRESS|INTERFACE...
//! }
//! ```
//!
//! The block answers on these addresses only. An interface stands for all the addresses it has when the
//! Corefile is read. Several `bind` lines add up. When `except` leaves nothing over, the block answers
//! nowhere.

use std::net::SocketAddr;

use super::DirectiveContext;
use crate::address::with_port;
use crate::error::ConfigError;
use crate::lexer::Token;
use crate::listeners::{Address, Bind};
use crate::tree::Directive;

pub(super) fn read(
    directive: &Directive,
    context: &mut DirectiveContext<'_>,
    bind: &mut Bind,
) -> Result<(), ConfigError> {
    let head = &directive.head;
    if head.args.is_empty() {
        return Err(ConfigError::at(&head.name, "at least one address or interface name is expected"));
    }
    let mut except = Vec::new();
    for option in &directive.options {
        if !option.name.is("except") {
            return Err(ConfigError::at(&option.name, format!("invalid option {:?}", option.name.text)));
        }
        if option.args.is_empty() {
            let reason = "at least one address or interface must be given to except subdirective";
            return Err(ConfigError::at(&option.name, reason));
        }
        except.extend(addresses(&option.args, context)?);
    }
    let mut bound = match std::mem::replace(bind, Bind::Everywhere) {
        Bind::Everywhere => Vec::new(),
        Bind::On(before) => before,
    };
    for address in addresses(&head.args, context)? {
        let excepted = except.iter().any(|other| other.socket == address.socket);
        if !excepted && bound.iter().all(|other| other.socket != address.socket) {
            bound.push(address);
        }
    }
    if bound.is_empty() {
        let place = head.name.place();
        context.warnings.push(format!("{place} - except leaves no address over: the block answers nowhere"));
    }
    *bind = Bind::On(bound);
    Ok(())
}

fn addresses(words: &[Token], context: &DirectiveContext<'_>) -> Result<Vec<Address>, ConfigError> {
    let mut addresses = Vec::new();
    for word in words {
        if let Some(socket) = with_port(&word.text, 0, context.host) {
            let zone = word.text.split_once('%').map(|(_, zone)| zone);
            addresses.push(shown(socket, zone));
            continue;
        }
        let found = context.host.interface_addresses(&word.text).map_err(|error| {
            ConfigError::at(word, format!("cannot list the addresses of {:?}: {error}", word.text))
        })?;
        if found.is_empty() {
            let reason = match word.text.contains("__PILLAR__") {
                true => format!("{:?} was not replaced by an address; {PILLAR_REMEDY}", word.text),
                false => format!("not a valid IP address or interface name: {:?}", word.text),
            };
            return Err(ConfigError::at(word, reason));
        }
        addresses.extend(found.into_iter().map(|socket| shown(socket, Some(&word.text))));
    }
    Ok(addresses)
}

const PILLAR_REMEDY: &str = "variables are replaced in the file of -basecorefile, not in that of -conf";

/// An address as labels show it, with the interface behind a link-local one.
fn shown(socket: SocketAddr, interface: Option<&str>) -> Address {
    let shown = match (socket, interface) {
        (SocketAddr::V6(v6), Some(interface)) if v6.scope_id() != 0 => format!("{}%{interface}", v6.ip()),
        _ => socket.ip().to_string(),
    };
    Address { socket, shown }
}
