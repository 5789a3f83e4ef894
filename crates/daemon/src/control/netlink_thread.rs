//! The netlink thread: the only one with CAP_NET_ADMIN. It sets up, verifies and restores the node.

use std::io;

use linux::confinement::{FileAccess, FileConfinement, ThreadKind};
use linux::node::{NodeConfig, NodeError, NodeEvent, NodeSetup, Retained};
use tracing::warn;

use crate::job_thread::JobThread;

/// Read by the thread: sockets and their owners, tables of iptables, and the lock of iptables; resolv.conf
/// for the examination of the node.
const READ: [&str; 3] = ["/proc", "/run/xtables.lock", "/etc"];

/// What the thread owns.
#[derive(Default)]
pub(super) struct Netlink {
    setup: Option<NodeSetup>,
    /// Kept while it opens files.
    files: Option<FileConfinement>,
}

pub(super) type NetlinkThread = JobThread<Netlink>;

/// Starts the thread, without a node yet.
///
/// # Errors
/// The system refuses a thread.
pub(super) fn start() -> io::Result<NetlinkThread> {
    JobThread::start("netlink", ThreadKind::Netlink, Netlink::default)
}

impl Netlink {
    fn restrict_files(&mut self) {
        let access = FileAccess { read: READ.map(Into::into).to_vec(), ..FileAccess::default() };
        self.files = access.restrict().unwrap_or_else(|error| {
            warn!("landlock: the netlink thread can reach all files: {error}");
            None
        });
    }
}

impl NetlinkThread {
    /// Restricts the thread to the files that it reads.
    pub(super) fn restrict_files(&self) {
        self.post(Netlink::restrict_files);
    }

    /// Sets up the node, which [`node`](Self::node) has from then on.
    pub(super) async fn set_up(&self, config: NodeConfig) -> Result<Vec<NodeEvent>, NodeError> {
        let set_up = async |netlink: &mut Netlink| {
            let (setup, events) = NodeSetup::apply(config).await?;
            netlink.setup = Some(setup);
            Ok(events)
        };
        self.run(set_up).await
    }

    /// Runs a job on the node; the default value if it is not set up.
    pub(super) async fn node<T: Default + Send + 'static>(
        &self,
        job: impl AsyncFnOnce(&mut NodeSetup) -> T + Send + 'static,
    ) -> T {
        let of_setup = async |netlink: &mut Netlink| match &mut netlink.setup {
            Some(setup) => job(setup).await,
            None => T::default(),
        };
        self.run(of_setup).await
    }

    /// Restores the node except the `retained` parts.
    pub(super) async fn restore_except(&self, retained: Retained) -> Result<(), NodeError> {
        let restore = async move |netlink: &mut Netlink| match netlink.setup.take() {
            Some(setup) => setup.restore_except(retained).await,
            None => Ok(()),
        };
        self.run(restore).await
    }
}
