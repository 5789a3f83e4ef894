//! Identifiers of listeners, server blocks and upstreams, stable across reloads.

use std::net::SocketAddr;

use corefile::settings::ConnectionOptions;
use resolver::policy::{ListenerId, UpstreamId};

use super::block_ids::BlockIds;
use super::ids_exhausted::IdsExhausted;

/// The identifiers allocated so far. None of a listener, which keeps its sockets, or of an upstream, which
/// keeps its RTT estimate, is reused.
#[derive(Default)]
pub(super) struct IdRegistry {
    /// Labels, indexed by [`ListenerId`].
    listeners: Vec<String>,
    pub(super) blocks: BlockIds,
    /// Indexed by [`UpstreamId`].
    upstreams: Vec<(SocketAddr, ConnectionOptions)>,
}

impl IdRegistry {
    /// Listeners of this and earlier configurations.
    pub(super) fn listener_count(&self) -> usize {
        self.listeners.len()
    }

    pub(super) fn listener(&mut self, label: &str) -> Result<ListenerId, IdsExhausted> {
        let known = self.listeners.iter().position(|known| known == label);
        let index = known.unwrap_or_else(|| {
            self.listeners.push(label.to_owned());
            self.listeners.len() - 1
        });
        u16::try_from(index).map(ListenerId).map_err(|_| IdsExhausted)
    }

    pub(super) fn upstream(
        &mut self,
        addr: SocketAddr,
        connection: &ConnectionOptions,
    ) -> Result<UpstreamId, IdsExhausted> {
        let known =
            self.upstreams.iter().position(|(known, options)| *known == addr && options == connection);
        let index = known.unwrap_or_else(|| {
            self.upstreams.push((addr, connection.clone()));
            self.upstreams.len() - 1
        });
        u16::try_from(index).map(UpstreamId).map_err(|_| IdsExhausted)
    }
}
