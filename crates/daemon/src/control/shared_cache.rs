//! The cache that all workers share: imports at start-up, and periodic snapshots.

use std::collections::HashMap;
use std::sync::Arc;

use resolver::cache::{Cache, ImportTarget, Usage};
use resolver::policy::BlockId;
use tracing::{error, info, warn};

use super::context::ProcessContext;
use crate::clock;
use crate::handover::ReceivedOffer;
use crate::snapshot::{self, DELAY, FinalWrite, LoadError, Loaded, Snapshot, SnapshotWriter};

pub(super) struct SharedCache<'a> {
    context: ProcessContext<'a>,
    cache: Arc<Cache>,
    /// The server blocks with a cache, by fingerprint.
    blocks: Vec<(String, BlockId)>,
    snapshots: Option<SnapshotWriter>,
}

impl<'a> SharedCache<'a> {
    /// Empty, with the capacity of the memory plan.
    pub(super) fn new(context: ProcessContext<'a>, targets: &HashMap<String, ImportTarget>) -> Self {
        let cache = Arc::new(Cache::new(context.memory.cache, clock::now()));
        Self { context, cache, blocks: snapshot::blocks(targets), snapshots: None }
    }

    /// Takes the entries of the predecessor, or without one those of the snapshot.
    pub(super) async fn import(
        &self,
        offer: Option<&mut ReceivedOffer>,
        targets: &HashMap<String, ImportTarget>,
    ) {
        match offer {
            Some(offer) => self.import_from_predecessor(offer, targets).await,
            None => self.import_snapshot(targets),
        }
    }

    pub(super) fn cache(&self) -> &Arc<Cache> {
        &self.cache
    }

    pub(super) fn blocks(&self) -> &[(String, BlockId)] {
        &self.blocks
    }

    /// Imports the predecessor's cache.
    async fn import_from_predecessor(
        &self,
        offer: &mut ReceivedOffer,
        targets: &HashMap<String, ImportTarget>,
    ) {
        let sockets = offer.sockets();
        let (transfer, received) = offer.receive_cache(&self.cache, targets).await;
        self.context.counters.imported.predecessor.add(transfer.imported);
        if let Err(reason) = received {
            warn!("cache transfer from the predecessor is incomplete: {reason}");
        }
        info!(
            "received {sockets} sockets and {} cache entries ({} rejected) from the predecessor, version {}",
            transfer.imported, transfer.rejected, offer.version
        );
    }

    /// Imports the snapshot of an instance that crashed.
    fn import_snapshot(&self, targets: &HashMap<String, ImportTarget>) {
        let Some(directory) = self.context.directory else { return };
        match Snapshot::new(directory.path()).load(&self.cache, targets) {
            Ok(Loaded { summary, age }) => {
                self.context.counters.imported.snapshot.add(summary.imported);
                info!("{} cache entries from a snapshot, {} s old", summary.imported, age.as_secs());
            }
            Err(LoadError::NotFound) => {}
            Err(reason) => warn!("cache snapshot not used: {reason}"),
        }
    }

    /// Writes snapshots from now on.
    pub(super) fn start_snapshots(&mut self) {
        let Some(directory) = self.context.directory else { return };
        // One file, and another while it is written.
        let limit = usize::try_from(self.context.memory.snapshot / 2).unwrap_or(usize::MAX);
        let snapshot = Snapshot::new(directory.path()).with_limit(limit);
        let counters = Arc::clone(self.context.counters);
        let (cache, blocks) = (Arc::clone(&self.cache), self.blocks.clone());
        match SnapshotWriter::start(snapshot, DELAY, cache, blocks, counters) {
            Ok(writer) => self.snapshots = Some(writer),
            Err(error) => error!("no cache snapshots are written: {error}"),
        }
    }

    /// Schedules a snapshot if there were insertions.
    pub(super) fn check_snapshot(&mut self) {
        if let Some(writer) = &mut self.snapshots {
            writer.check_cache();
        }
    }

    /// The server blocks of another configuration.
    pub(super) fn set_blocks(&mut self, blocks: Vec<(String, BlockId)>) {
        if let Some(writer) = &self.snapshots {
            writer.set_blocks(blocks.clone());
        }
        self.blocks = blocks;
    }

    /// Removes the entries of server blocks whose usages are not among `kept`.
    pub(super) async fn remove_other_blocks(&self, kept: &[Arc<Usage>]) {
        while self.cache.remove_other_blocks(kept) {
            tokio::task::yield_now().await;
        }
    }

    /// Leaves the snapshot file to a successor, without waiting for a write that has begun.
    pub(super) fn detach_snapshots(&mut self) {
        if let Some(writer) = self.snapshots.take() {
            writer.detach();
        }
    }

    /// Ends the writing of snapshots.
    pub(super) fn stop_snapshots(&mut self, last: FinalWrite) {
        if let Some(writer) = self.snapshots.take() {
            writer.stop(last);
        }
    }
}
