//! Identifiers of server blocks: kept while a configuration, a query in flight or a cache entry refers to
//! them, and given to another block after that.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use resolver::cache::Usage;
use resolver::policy::BlockId;

use super::ids_exhausted::IdsExhausted;

/// Blocks of earlier configurations that are kept, with their cache entries, in case that another
/// reload brings one of them back: its upstreams were replaced for a moment.
const MAX_FORMER: usize = 16;

/// The server blocks of this and earlier configurations, by fingerprint.
#[derive(Default)]
pub(super) struct BlockIds {
    known: HashMap<String, KnownBlock>,
    /// Blocks that are not known any more, whose IDs may still be in use.
    forgotten: Vec<(BlockId, Weak<Usage>)>,
    /// IDs given out at least once.
    allocated: u32,
    builds: u64,
}

struct KnownBlock {
    id: BlockId,
    usage: Arc<Usage>,
    is_in_force: bool,
    /// The last configuration with this block that was built.
    last_build: u64,
}

impl BlockIds {
    /// Begins another configuration. Forgets former blocks beyond [`MAX_FORMER`], the oldest first.
    pub(super) fn begin_build(&mut self) {
        self.builds += 1;
        let former = self.known.iter().filter(|(_, block)| !block.is_in_force);
        let mut former: Vec<(u64, String)> =
            former.map(|(fingerprint, block)| (block.last_build, fingerprint.clone())).collect();
        former.sort_unstable();
        let excess = former.len().saturating_sub(MAX_FORMER);
        for (_, fingerprint) in former.into_iter().take(excess) {
            if let Some(block) = self.known.remove(&fingerprint) {
                self.forgotten.push((block.id, Arc::downgrade(&block.usage)));
            }
        }
    }

    /// The ID and cache usage of a block of the configuration that is built.
    ///
    /// # Errors
    /// All IDs are in use.
    pub(super) fn get_or_allocate(
        &mut self,
        fingerprint: &str,
    ) -> Result<(BlockId, Arc<Usage>), IdsExhausted> {
        if let Some(block) = self.known.get_mut(fingerprint) {
            block.last_build = self.builds;
            return Ok((block.id, Arc::clone(&block.usage)));
        }
        let (id, usage) = (self.allocate()?, Arc::default());
        let block = KnownBlock { id, usage: Arc::clone(&usage), is_in_force: false, last_build: self.builds };
        self.known.insert(fingerprint.to_owned(), block);
        Ok((id, usage))
    }

    /// The same for a block that is known.
    pub(super) fn get(&self, fingerprint: &str) -> Option<(BlockId, Arc<Usage>)> {
        self.known.get(fingerprint).map(|block| (block.id, Arc::clone(&block.usage)))
    }

    /// Puts the blocks with these fingerprints in force, in place of those before.
    pub(super) fn set_in_force<'f>(&mut self, fingerprints: impl Iterator<Item = &'f str>) {
        self.known.values_mut().for_each(|block| block.is_in_force = false);
        for fingerprint in fingerprints {
            if let Some(block) = self.known.get_mut(fingerprint) {
                block.is_in_force = true;
            }
        }
    }

    /// The cache usages of all blocks whose entries are of use.
    pub(super) fn usages(&self) -> Vec<Arc<Usage>> {
        self.known.values().map(|block| Arc::clone(&block.usage)).collect()
    }

    /// An ID that nothing refers to: an entry of the cache would be taken for one of the new block.
    fn allocate(&mut self) -> Result<BlockId, IdsExhausted> {
        let free = self.forgotten.iter().position(|(_, usage)| usage.strong_count() == 0);
        if let Some(free) = free {
            return Ok(self.forgotten.swap_remove(free).0);
        }
        let id = u16::try_from(self.allocated).map_err(|_| IdsExhausted)?;
        self.allocated += 1;
        Ok(BlockId(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds a configuration of one block and puts it in force.
    fn put_in_force(ids: &mut BlockIds, fingerprint: &str) -> (BlockId, Arc<Usage>) {
        ids.begin_build();
        let block = ids.get_or_allocate(fingerprint).unwrap();
        ids.set_in_force([fingerprint].into_iter());
        block
    }

    #[test]
    fn an_id_is_given_to_another_block_when_nothing_refers_to_it() {
        let mut ids = BlockIds::default();
        let (held, usage) = put_in_force(&mut ids, "held");
        let mut given: Vec<BlockId> = Vec::new();
        for edit in 0..100_000 {
            given.push(put_in_force(&mut ids, &edit.to_string()).0);
        }
        assert!(!given.contains(&held), "a cache entry refers to it");
        let most = given.iter().map(|id| usize::from(id.0)).max().unwrap();
        assert!(most <= MAX_FORMER + 2, "{most}");
        drop(usage);
        let later: Vec<BlockId> =
            (0..3).map(|edit| put_in_force(&mut ids, &format!("later {edit}")).0).collect();
        assert!(later.contains(&held), "{later:?}");
    }

    #[test]
    fn former_blocks_keep_their_ids_for_a_while() {
        let mut ids = BlockIds::default();
        let (id, usage) = put_in_force(&mut ids, "first");
        for edit in 0..MAX_FORMER {
            put_in_force(&mut ids, &edit.to_string());
        }
        let (same, same_usage) = put_in_force(&mut ids, "first");
        assert!(id == same && Arc::ptr_eq(&usage, &same_usage));
        for edit in 0..=MAX_FORMER {
            put_in_force(&mut ids, &format!("more {edit}"));
        }
        let is_known = |ids: &BlockIds| ids.usages().iter().any(|known| Arc::ptr_eq(known, &usage));
        assert!(is_known(&ids));
        ids.begin_build();
        assert!(!is_known(&ids));
        let (_, another_usage) = put_in_force(&mut ids, "first");
        assert!(!Arc::ptr_eq(&usage, &another_usage));
    }

    #[test]
    fn configurations_that_are_not_put_in_force_use_up_no_id() {
        let mut ids = BlockIds::default();
        let (id, _) = put_in_force(&mut ids, "in force");
        for edit in 0..100_000 {
            ids.begin_build();
            ids.get_or_allocate(&edit.to_string()).unwrap();
        }
        assert_eq!(ids.get("in force").unwrap().0, id);
        assert!(ids.allocated as usize <= MAX_FORMER + 3, "{}", ids.allocated);
    }

    #[test]
    fn all_ids_may_be_in_use() {
        let mut ids = BlockIds::default();
        ids.begin_build();
        let blocks: Vec<_> =
            (0..=u16::MAX).map(|block| ids.get_or_allocate(&block.to_string()).unwrap()).collect();
        assert_eq!(blocks.len(), 65_536);
        assert_eq!(ids.get_or_allocate("one more").map(|_| ()), Err(IdsExhausted));
    }
}
