//! Uplinks: the interfaces through which other hosts reach the node, those of its default routes.

use std::collections::BTreeSet;

use crate::link::{LinkError, RtnetlinkSocket};

/// The kinds of links that may have pods behind them as well, although a default route leads there.
const SHARED_KINDS: [&str; 1] = ["bridge"];

/// Finds the uplinks.
#[derive(Debug, Default)]
pub(crate) struct Uplinks {
    socket: RtnetlinkSocket,
}

impl Uplinks {
    /// The names of the interfaces of all default routes, of both families and all routing tables,
    /// without bridges.
    ///
    /// # Errors
    ///
    /// See [`LinkError`].
    pub(crate) async fn names(&self) -> Result<BTreeSet<String>, LinkError> {
        self.socket
            .run(async |rtnetlink| {
                let indices = rtnetlink.default_route_interfaces().await?;
                if indices.is_empty() {
                    return Ok(BTreeSet::new());
                }
                let links = rtnetlink.links().await?;
                let uplinks = links
                    .into_iter()
                    .filter(|link| indices.contains(&link.index) && !SHARED_KINDS.contains(&&*link.kind));
                Ok(uplinks.map(|link| link.name).collect())
            })
            .await
    }
}
