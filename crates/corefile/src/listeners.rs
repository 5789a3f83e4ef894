//! Listeners: which zones are served on which address.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use wire::name::Name;

use crate::error::ConfigError;
use crate::settings::{Listener, ServerBlockKey, Timeouts};
use crate::token::Token;

/// Where a server block listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bind {
    /// On all addresses of the host.
    Wildcard,
    /// On these addresses, with the port of each key.
    Addresses(Vec<BindAddress>),
}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BindAddress {
    /// The address; its port is ignored.
    pub(crate) socket: SocketAddr,
    /// The address in labels and messages, with `%INTERFACE` if link-local.
    pub(crate) label: String,
    /// `FILE:LINE` of the argument.
    pub(crate) location: String,
}

/// An address of a block, or all of them.
struct BoundHost<'a> {
    /// Empty without `bind`.
    label: &'a str,
    addresses: Vec<SocketAddr>,
    /// `FILE:LINE` of the argument of `bind`; `None` without.
    location: Option<&'a str>,
}

impl Bind {
    /// With this port.
    fn hosts(&self, port: u16) -> Vec<BoundHost<'_>> {
        match self {
            Self::Wildcard => vec![BoundHost { label: "", addresses: wildcard(port), location: None }],
            Self::Addresses(addresses) => {
                let hosts = addresses.iter().map(|address| BoundHost {
                    label: &address.label,
                    addresses: address.sockets(port),
                    location: Some(&address.location),
                });
                hosts.collect()
            }
        }
    }

    /// An address on which the process reaches the block itself; `None` if it does not listen.
    pub(crate) fn first(&self, port: u16) -> Option<SocketAddr> {
        let mut first = match self {
            Self::Wildcard => (Ipv4Addr::LOCALHOST, port).into(),
            Self::Addresses(addresses) => addresses.first()?.socket,
        };
        first.set_port(port);
        Some(first)
    }
}

impl BindAddress {
    /// The address itself; `::` and `0.0.0.0` stand for both families, as in Go.
    fn sockets(&self, port: u16) -> Vec<SocketAddr> {
        if self.socket.ip().is_unspecified() {
            return wildcard(port);
        }
        let mut socket = self.socket;
        socket.set_port(port);
        vec![socket]
    }
}

/// All addresses of the host.
fn wildcard(port: u16) -> Vec<SocketAddr> {
    vec![(Ipv6Addr::UNSPECIFIED, port).into(), (Ipv4Addr::UNSPECIFIED, port).into()]
}

/// A zone served on an address and port.
struct ServedZone {
    zone: Name,
    host: String,
    port: u16,
    /// `FILE:LINE` of its key.
    location: String,
}

impl ServedZone {
    fn label(&self) -> String {
        let zone = format!("dns://{}:{}", self.zone, self.port);
        if self.host.is_empty() { zone } else { format!("{zone} on {}", self.host) }
    }
}

/// Collects the listeners of all server blocks.
#[derive(Default)]
pub(crate) struct Listeners {
    zones: Vec<ServedZone>,
    listeners: Vec<Listener>,
}

impl Listeners {
    /// Adds a key of the block at index `block`; `token` is the word it comes from.
    pub(crate) fn add(
        &mut self,
        token: &Token,
        key: &ServerBlockKey,
        bind: &Bind,
        block: usize,
    ) -> Result<(), ConfigError> {
        for BoundHost { label: host, addresses, location: bound_at } in bind.hosts(key.port) {
            let (zone, location) = (key.zone.clone(), token.location());
            let named_at = bound_at.map_or_else(|| location.clone(), str::to_owned);
            self.add_zone(ServedZone { zone, host: host.to_owned(), port: key.port, location }, token)?;
            let zone = (key.zone.clone(), block);
            // `::`, `0.0.0.0` and no `bind` are the same sockets.
            match self.listeners.iter_mut().find(|listener| listener.addresses == addresses) {
                Some(listener) if listener.zones.iter().any(|(served, _)| *served == zone.0) => {}
                Some(listener) => listener.zones.push(zone),
                None => {
                    let label = match host.contains(':') {
                        true => format!("dns://[{host}]:{}", key.port),
                        false => format!("dns://{host}:{}", key.port),
                    };
                    let (location, timeouts) = (named_at, Timeouts::default());
                    self.listeners.push(Listener { addresses, label, location, zones: vec![zone], timeouts });
                }
            }
        }
        Ok(())
    }

    /// All listeners.
    pub(crate) fn finish(self) -> Vec<Listener> {
        self.listeners
    }

    /// Rejects a zone that is served twice on an address, or on an address and on the wildcard.
    fn add_zone(&mut self, new: ServedZone, token: &Token) -> Result<(), ConfigError> {
        let same_zone = |old: &&ServedZone| old.zone == new.zone && old.port == new.port;
        let mut others = self.zones.iter().filter(same_zone);
        if let Some(old) = others.clone().find(|old| old.host == new.host) {
            let reason = format!("cannot serve {} - it is already defined ({})", new.label(), old.location);
            return Err(ConfigError::at(token, reason));
        }
        if let Some(old) = others.find(|old| old.host.is_empty() || new.host.is_empty()) {
            let reason = format!(
                "cannot serve {} - zone overlap listener capacity with {} ({}): \
                 one has a bind and one has none",
                new.label(),
                old.label(),
                old.location
            );
            return Err(ConfigError::at(token, reason));
        }
        self.zones.push(new);
        Ok(())
    }
}
