//! Link repair: the node's link, addresses and packet-filter rules are set up, checked on netlink
//! events and at intervals, and restored; with log lines and counters.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use linux::link::LinkConfig;
use linux::netlink_events::NetlinkMonitor;
use linux::node::{NodeConfig, NodeEvent, NodeSetup};
use linux::packet_filter::{FilterConfig, FilteredAddress, PacketCounts};
use tokio::runtime::Handle;
use tracing::{error, info, warn};

use super::exit::FatalError;
use super::fail_open;
use super::netlink_thread::NetlinkThread;
use crate::flags::Flags;
use crate::metrics::{CountReader, ProcessCounters, SetupError};

/// Name of the packet-filter table.
pub(super) const TABLE: &str = "nodelocaldns";

/// Creates what the flags request on the node.
pub(super) async fn set_up(
    netlink: &NetlinkThread,
    flags: &Flags,
    addresses: Vec<FilteredAddress>,
    counters: &ProcessCounters,
) -> Result<(), FatalError> {
    let kind = flags.link_kind.parse().map_err(FatalError::LinkKind)?;
    let link = flags.setup_interface.then(|| LinkConfig {
        name: flags.interface_name.clone(),
        kind,
        addresses: flags.options.local_ips.clone(),
    });
    let filter = flags.setup_iptables.then(|| filter_config(flags, addresses));
    let events = netlink.set_up(NodeConfig { link, filter }).await.map_err(FatalError::Node)?;
    report(&events, counters);
    Ok(())
}

pub(super) fn filter_config(flags: &Flags, addresses: Vec<FilteredAddress>) -> FilterConfig {
    FilterConfig {
        table: TABLE.to_owned(),
        addresses,
        dns_port: flags.options.dns_port,
        health_port: Some(flags.health_port),
        guard: flags.guard,
        notrack: flags.notrack,
        first_zone: flags.fail_open_zone,
        mark_mask: flags.fail_open_mark,
    }
}

/// Logs and counts changes of the node.
pub(super) fn report(events: &[NodeEvent], counters: &ProcessCounters) {
    for event in events {
        match event {
            NodeEvent::LinkFailed(_) => counters.setup_error(SetupError::InterfaceCheck),
            NodeEvent::RulesFailed(_) => counters.setup_error(SetupError::Iptables),
            NodeEvent::UplinksChanged(_) => {
                info!("{event}");
                continue;
            }
            NodeEvent::FallbackKind { .. }
            | NodeEvent::NoFailOpen(_)
            | NodeEvent::UplinksUnknown(_)
            | NodeEvent::MonitorFailed { .. } => {
                warn!("{event}");
                continue;
            }
            NodeEvent::LinkChanged { .. } | NodeEvent::RulesInstalled(_) => {}
        }
        if event.is_failure() {
            error!("{event}");
        } else {
            info!("{event}");
        }
    }
}

/// Keeps the node as configured while the instance runs.
pub(super) struct NodeKeeper<'a> {
    netlink: &'a NetlinkThread,
    counters: &'a ProcessCounters,
    /// The packet-filter rules in place.
    filter_config: Option<FilterConfig>,
    /// The last attempt to install the rules failed, and the failure has been logged.
    rules_failed: bool,
    /// Whether the link was as configured when it was last checked.
    link_is_in_place: bool,
}

impl<'a> NodeKeeper<'a> {
    pub(super) async fn new(netlink: &'a NetlinkThread, counters: &'a ProcessCounters) -> Self {
        let filter_config = netlink.node(async |node: &mut NodeSetup| node.filter_config().cloned()).await;
        Self { netlink, counters, filter_config, rules_failed: false, link_is_in_place: false }
    }

    /// Subscribes to the kernel's notifications about the link and the table. Rules that could not
    /// be installed at set-up have been logged then.
    pub(super) async fn monitor(&mut self) -> NetlinkMonitor {
        // Events arrive in the event loop of this thread.
        let runtime = Handle::current();
        let subscribe = async move |node: &mut NodeSetup| {
            let _guard = runtime.enter();
            let (monitor, events) = node.monitor();
            (Some(monitor), events, node.rules_never_installed())
        };
        let (monitor, events, never_installed) = self.netlink.node(subscribe).await;
        report(&events, self.counters);
        self.rules_failed |= never_installed;
        monitor.unwrap_or_default()
    }

    /// Restores whatever is missing.
    pub(super) async fn repair(&mut self) {
        let mut events = self.change(async |node: &mut NodeSetup| node.verify().await).await;
        let rules_failed = events.iter().any(|event| matches!(event, NodeEvent::RulesFailed(_)));
        // A kernel without packet filter fails each time; that is logged once.
        if std::mem::replace(&mut self.rules_failed, rules_failed) {
            events.retain(|event| !matches!(event, NodeEvent::RulesFailed(_)));
        }
        report(&events, self.counters);
        for _ in events.iter().filter(|event| !event.is_failure()) {
            self.counters.repairs.inc();
        }
    }

    /// Changes where the queries of the served addresses go while no instance serves them.
    pub(super) async fn set_filtered_addresses(&mut self, addresses: Vec<FilteredAddress>) {
        let change = async move |node: &mut NodeSetup| node.set_filtered_addresses(addresses);
        report(&self.change(change).await, self.counters);
    }

    /// Makes a change that may install the rules.
    async fn change(
        &mut self,
        change: impl AsyncFnOnce(&mut NodeSetup) -> Vec<NodeEvent> + Send + 'static,
    ) -> Vec<NodeEvent> {
        let (events, config) = self
            .netlink
            .node(async move |node: &mut NodeSetup| (change(node).await, node.filter_config().cloned()))
            .await;
        self.filter_config = config;
        events
    }

    /// The packet-filter rules in place.
    pub(super) const fn filter_config(&self) -> Option<&FilterConfig> {
        self.filter_config.as_ref()
    }

    /// The addresses for which the rules in place expect heartbeats.
    pub(super) fn heartbeat_addresses(&self) -> Vec<SocketAddr> {
        self.filter_config.as_ref().map(fail_open::heartbeat_addresses).unwrap_or_default()
    }

    /// Reads the counters of the packet-filter rules in place, from any thread.
    pub(super) async fn count_reader(&self) -> Option<CountReader> {
        let counters = self.netlink.node(async |node: &mut NodeSetup| node.packet_counters()).await?;
        let (counters, netlink) = (Arc::new(Mutex::new(counters)), self.netlink.clone());
        let mut last = PacketCounts::default();
        Some(CountReader::new(move || {
            let counters = Arc::clone(&counters);
            let read = move |_: &mut _| counters.lock().unwrap_or_else(PoisonError::into_inner).read();
            if let Some(read) = netlink.wait_for(read) {
                last = read;
            }
            last.clone()
        }))
    }

    /// Whether the link was as configured at the last [`check_link`](Self::check_link).
    pub(super) const fn link_is_in_place(&self) -> bool {
        self.link_is_in_place
    }

    /// Looks whether the link is as configured; changes nothing.
    pub(super) async fn check_link(&mut self) {
        self.link_is_in_place =
            self.netlink.node(async |node: &mut NodeSetup| node.is_configured().await).await;
    }

    /// Removes a predecessor's addresses from the link, except our own.
    pub(super) async fn remove_addresses(&self, addresses: Vec<IpAddr>) {
        let remove = async move |node: &mut NodeSetup| node.remove_predecessor_addresses(&addresses).await;
        report(&self.netlink.node(remove).await, self.counters);
    }
}
