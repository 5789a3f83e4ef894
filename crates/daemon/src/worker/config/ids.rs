//! Identifiers of listeners, server blocks and upstreams, stable across reloads.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use corefile::settings::ConnectionOptions;
use resolver::cache::Usage;
use resolver::policy::{BlockId, ListenerId, UpstreamId};

/// All 65,536 identifiers of a kind are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IdsExhausted;

impl fmt::Display for IdsExhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "65,536 different listeners or server blocks have been configured since the start: restart the process",
        )
    }
}

/// The identifiers allocated so far. None is reused: a listener keeps its sockets, a server block
/// with an equal fingerprint its cache entries, an upstream its RTT estimate.
#[derive(Default)]
pub(super) struct IdRegistry {
    /// Labels, indexed by [`ListenerId`].
    listeners: Vec<String>,
    /// By fingerprint.
    blocks: HashMap<String, (BlockId, Arc<Usage>)>,
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

    /// The ID and cache usage of a block.
    pub(super) fn block(&mut self, fingerprint: &str) -> Result<(BlockId, Arc<Usage>), IdsExhausted> {
        let next = u16::try_from(self.blocks.len()).map_err(|_| IdsExhausted)?;
        let block = self.blocks.entry(fingerprint.to_owned());
        Ok(block.or_insert_with(|| (BlockId(next), Arc::default())).clone())
    }

    /// As [`Self::block`], without allocating.
    pub(super) fn known_block(&self, fingerprint: &str) -> Option<(BlockId, Arc<Usage>)> {
        self.blocks.get(fingerprint).cloned()
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
