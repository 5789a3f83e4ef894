//! What all workers share of a server block.

use std::sync::Arc;

use corefile::settings;
use resolver::cache::Usage;
use resolver::policy::{BlockId, ForwardState, LoopDetector, UpstreamId, UpstreamState};

use super::ids::IdRegistry;
use super::ids_exhausted::IdsExhausted;
use crate::logging::errors::Consolidator;

/// Shared state of a server block.
pub(super) struct SharedBlock {
    pub(super) id: BlockId,
    pub(super) usage: Arc<Usage>,
    pub(super) loop_detector: Option<Arc<LoopDetector>>,
    pub(super) consolidator: Option<Arc<Consolidator>>,
    pub(super) forwards: Vec<SharedForward>,
}

/// Shared state of a `forward`.
pub(super) struct SharedForward {
    pub(super) state: Arc<ForwardState>,
    pub(super) upstreams: Vec<(UpstreamId, Arc<UpstreamState>)>,
}

impl SharedBlock {
    pub(super) fn new(block: &settings::Block, ids: &mut IdRegistry) -> Result<Self, IdsExhausted> {
        let forwards = block.forwards.iter().map(|forward| SharedForward::new(forward, ids));
        let forwards = forwards.collect::<Result<_, _>>()?;
        let (id, usage) = ids.blocks.get_or_allocate(&block.fingerprint)?;
        Ok(Self {
            id,
            usage,
            loop_detector: block.loop_query.as_ref().map(|_| Arc::default()),
            consolidator: block.errors.as_ref().map(|errors| Arc::new(Consolidator::new(errors))),
            forwards,
        })
    }
}

impl SharedForward {
    fn new(forward: &settings::Forward, ids: &mut IdRegistry) -> Result<Self, IdsExhausted> {
        let upstreams = forward.upstreams.iter();
        let upstreams = upstreams.map(|&addr| Ok((ids.upstream(addr, &forward.connection)?, Arc::default())));
        Ok(Self { state: Arc::default(), upstreams: upstreams.collect::<Result<_, _>>()? })
    }
}
