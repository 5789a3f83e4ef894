//! Link repair: the node's link, addresses and packet-filter rules are set up, checked on netlink
//! events and at intervals, and restored; with log lines and counters.

use std::net::IpAddr;

use linux::link::LinkConfig;
use linux::netlink_events::NetlinkMonitor;
use linux::node::{NodeConfig, NodeEvent, NodeSetup};
use linux::packet_filter::{FilterConfig, FilteredAddress, PacketCounters};
use tracing::{error, info, warn};

use super::exit::FatalError;
use crate::flags::Flags;
use crate::metrics::{ProcessCounters, SetupError};

/// Name of the packet-filter table.
pub(super) const TABLE: &str = "nodelocaldns";

/// Creates what the flags request on the node.
pub(super) async fn set_up(
    flags: &Flags,
    addresses: Vec<FilteredAddress>,
    counters: &ProcessCounters,
) -> Result<NodeSetup, FatalError> {
    let kind = flags.link_kind.parse().map_err(FatalError::LinkKind)?;
    let link = flags.setup_interface.then(|| LinkConfig {
        name: flags.interface_name.clone(),
        kind,
        addresses: flags.options.local_ips.clone(),
    });
    let filter = flags.setup_iptables.then(|| filter_config(flags, addresses));
    let (setup, events) = NodeSetup::apply(NodeConfig { link, filter }).await.map_err(FatalError::Node)?;
    report(&events, counters);
    Ok(setup)
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
    setup: &'a mut NodeSetup,
    counters: &'a ProcessCounters,
    /// The last attempt to install the rules failed, and the failure has been logged.
    rules_failed: bool,
    /// Whether the link was as configured when it was last checked.
    link_is_in_place: bool,
}

impl<'a> NodeKeeper<'a> {
    pub(super) fn new(setup: &'a mut NodeSetup, counters: &'a ProcessCounters) -> Self {
        Self { setup, counters, rules_failed: false, link_is_in_place: false }
    }

    /// Subscribes to the kernel's notifications about the link and the table. Rules that could not
    /// be installed at set-up have been logged then.
    pub(super) fn monitor(&mut self) -> NetlinkMonitor {
        let (monitor, events) = self.setup.monitor();
        report(&events, self.counters);
        self.rules_failed |= self.setup.rules_never_installed();
        monitor
    }

    /// Restores whatever is missing.
    pub(super) async fn repair(&mut self) {
        let mut events = self.setup.verify().await;
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
    pub(super) fn set_filtered_addresses(&mut self, addresses: Vec<FilteredAddress>) {
        report(&self.setup.set_filtered_addresses(addresses), self.counters);
    }

    /// The packet-filter rules in place.
    pub(super) fn filter_config(&self) -> Option<&FilterConfig> {
        self.setup.filter_config()
    }

    /// The counters of the packet-filter rules in place.
    pub(super) fn packet_counters(&self) -> Option<PacketCounters> {
        self.setup.packet_counters()
    }

    /// Whether the link was as configured at the last [`check_link`](Self::check_link).
    pub(super) const fn link_is_in_place(&self) -> bool {
        self.link_is_in_place
    }

    /// Looks whether the link is as configured; changes nothing.
    pub(super) async fn check_link(&mut self) {
        self.link_is_in_place = self.setup.is_configured().await;
    }

    /// Removes a predecessor's addresses from the link, except our own.
    pub(super) async fn remove_addresses(&self, addresses: &[IpAddr]) {
        report(&self.setup.remove_predecessor_addresses(addresses).await, self.counters);
    }
}
