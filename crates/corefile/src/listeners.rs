//! Which zones are answered on which address.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use wire::name::Name;

use crate::error::ConfigError;
use crate::lexer::Token;
use crate::settings::{Listener, ServerBlockKey, Timeouts};

/// Where a block listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bind {
    /// On every address of the host.
    Everywhere,
    /// On these; the port is that of each key.
    On(Vec<Address>),
}

/// An address to listen on, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// The address, with any port.
    pub(super) socket: SocketAddr,
    /// Its text for labels and messages, with `%interface` where it has one.
    pub(super) shown: String,
}

impl Bind {
    /// The addresses as text, `""` for the wildcard.
    fn hosts(&self) -> Vec<(&str, Vec<SocketAddr>)> {
        match self {
            Self::Everywhere => {
                let both = vec![(Ipv6Addr::UNSPECIFIED, 0).into(), (Ipv4Addr::UNSPECIFIED, 0).into()];
                vec![("", both)]
            }
            Self::On(addresses) => {
                addresses.iter().map(|address| (address.shown.as_str(), vec![address.socket])).collect()
            }
        }
    }

    /// Where the block asks itself; nothing when it does not listen.
    pub(super) fn first(&self, port: u16) -> Option<SocketAddr> {
        let mut first = match self {
            Self::Everywhere => (Ipv4Addr::LOCALHOST, port).into(),
            Self::On(addresses) => addresses.first()?.socket,
        };
        first.set_port(port);
        Some(first)
    }
}

/// A zone that is taken.
struct Claim {
    zone: Name,
    host: String,
    port: u16,
    place: String,
}

impl Claim {
    fn shown(&self) -> String {
        let zone = format!("dns://{}:{}", self.zone, self.port);
        if self.host.is_empty() { zone } else { format!("{zone} on {}", self.host) }
    }
}

/// Collects the listeners of all blocks.
#[derive(Default)]
pub(super) struct Listeners {
    claims: Vec<Claim>,
    listeners: Vec<Listener>,
}

impl Listeners {
    /// Adds a block; `key` is the word its zones came from.
    pub(super) fn add(
        &mut self,
        key: &Token,
        zone: &ServerBlockKey,
        bind: &Bind,
        block: usize,
    ) -> Result<(), ConfigError> {
        for (host, sockets) in bind.hosts() {
            let claim =
                Claim { zone: zone.zone.clone(), host: host.to_owned(), port: zone.port, place: key.place() };
            self.claim(claim, key)?;
            let label = match host.contains(':') {
                true => format!("dns://[{host}]:{}", zone.port),
                false => format!("dns://{host}:{}", zone.port),
            };
            let zone_of_block = (zone.zone.clone(), block);
            match self.listeners.iter_mut().find(|listener| listener.label == label) {
                Some(listener) => listener.zones.push(zone_of_block),
                None => {
                    let with_port = |mut socket: SocketAddr| {
                        socket.set_port(zone.port);
                        socket
                    };
                    let addresses = sockets.into_iter().map(with_port).collect();
                    self.listeners.push(Listener {
                        addresses,
                        label,
                        zones: vec![zone_of_block],
                        timeouts: Timeouts::default(),
                    });
                }
            }
        }
        Ok(())
    }

    /// All listeners.
    pub(super) fn finish(self) -> Vec<Listener> {
        self.listeners
    }

    fn claim(&mut self, new: Claim, key: &Token) -> Result<(), ConfigError> {
        let same_zone = |old: &&Claim| old.zone == new.zone && old.port == new.port;
        let mut rivals = self.claims.iter().filter(same_zone);
        if let Some(old) = rivals.clone().find(|old| old.host == new.host) {
            let reason = format!("cannot serve {} - it is already defined ({})", new.shown(), old.place);
            return Err(ConfigError::at(key, reason));
        }
        if let Some(old) = rivals.find(|old| old.host.is_empty() || new.host.is_empty()) {
            let reason = format!(
                "cannot serve {} - zone overlap listener capacity with {} ({}): \
                 one has a bind and one has none",
                new.shown(),
                old.shown(),
                old.place
            );
            return Err(ConfigError::at(key, reason));
        }
        self.claims.push(new);
        Ok(())
    }
}
