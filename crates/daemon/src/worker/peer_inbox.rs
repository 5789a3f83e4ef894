//! Peer inboxes: results of shared in-flight queries, sent from worker to worker.

use resolver::action::{ShareResult, WorkerId};
use tokio::sync::mpsc;

/// An inbox for each of `workers`. Unbounded channels suffice: each message completes a query that
/// the receiving worker has in flight, and those are limited.
pub(crate) fn peer_inboxes(
    workers: usize,
) -> (Vec<mpsc::UnboundedSender<ShareResult>>, Vec<mpsc::UnboundedReceiver<ShareResult>>) {
    (0..workers).map(|_| mpsc::unbounded_channel()).unzip()
}

/// The number of the worker at `index`. `-workers` stays far below 65,536.
pub(crate) fn worker_id(index: usize) -> WorkerId {
    WorkerId(u16::try_from(index).unwrap_or(u16::MAX))
}

/// Sends a shared result to the inbox of its worker.
pub(super) fn share(peers: &[mpsc::UnboundedSender<ShareResult>], result: &ShareResult) {
    if let Some(peer) = peers.get(usize::from(result.to.0)) {
        // The inbox is closed only when its worker has ended, with all its waiters.
        peer.send(result.clone()).ok();
    }
}
