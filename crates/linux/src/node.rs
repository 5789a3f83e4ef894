//! Node set-up: the link with its addresses, and the packet-filter rules; apply, verify, monitor,
//! restore.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::IpAddr;

use crate::link::{Link, LinkChange, LinkChanges, LinkConfig, LinkError, LinkKind, LinkKindPreference};
use crate::netlink_events::NetlinkMonitor;
use crate::packet_filter::{FilterConfig, FilterError, FilteredAddress, PacketCounters, PacketFilter};
use crate::uplinks::Uplinks;

/// The configuration of the node; an absent part is left to the administrator.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NodeConfig {
    /// The link and its addresses.
    pub link: Option<LinkConfig>,
    /// The packet-filter rules.
    pub filter: Option<FilterConfig>,
}

/// A change to the node, or a failure. Each text is one line.
#[derive(Debug)]
pub enum NodeEvent {
    /// The link was created, adopted or repaired.
    LinkChanged {
        /// The link's name.
        name: String,
        /// The changes.
        changes: LinkChanges,
    },
    /// The link was created with the fallback kind: the kernel lacks the driver of the preferred
    /// one.
    FallbackKind {
        /// The link's name.
        name: String,
        /// The preferred kind.
        preferred: LinkKind,
        /// The kind of the link.
        created: LinkKind,
    },
    /// The link is not as configured.
    LinkFailed(LinkError),
    /// The rules were missing or different and were installed in the table of this name.
    RulesInstalled(String),
    /// The rules are not as configured. Responses are the same without them.
    RulesFailed(FilterError),
    /// The kernel does not accept the fail-open rules: while no process serves, queries get no
    /// response.
    NoFailOpen(String),
    /// The guard drops packets to our addresses that come in on these interfaces.
    UplinksChanged(BTreeSet<String>),
    /// The uplinks are not known, and the guard has those known before.
    UplinksUnknown(String),
    /// Changes by others are noticed only by periodic verification.
    MonitorFailed {
        /// E.g. `link nodelocaldns`.
        part: String,
        /// The kernel's error.
        error: io::Error,
    },
}

impl NodeEvent {
    /// Whether the event is a failure.
    #[must_use]
    pub const fn is_failure(&self) -> bool {
        matches!(self, Self::LinkFailed(_) | Self::RulesFailed(_))
    }
}

impl fmt::Display for NodeEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LinkChanged { name, changes } => write!(f, "link {name}: {changes}"),
            Self::FallbackKind { name, preferred, created } => write!(
                f,
                "link {name} is of kind {created}: the kernel has no driver for links of kind {preferred}; load it on \
                 the node (modprobe {preferred}) or choose with -link-kind {created}"
            ),
            Self::LinkFailed(error) => error.fmt(f),
            Self::RulesInstalled(table) => write!(f, "packet-filter table inet {table} installed"),
            Self::RulesFailed(error) => write!(f, "DNS packets are tracked by conntrack: {error}"),
            Self::NoFailOpen(reason) => write!(f, "no fail-open: {reason}"),
            Self::UplinksChanged(names) if names.is_empty() => f.write_str(
                "guard: no uplink, which is the interface of a default route and no bridge: other hosts \
                     are served",
            ),
            Self::UplinksChanged(names) => {
                let names: Vec<_> = names.iter().map(String::as_str).collect();
                write!(f, "guard: packets to our addresses from {} are dropped", names.join(", "))
            }
            Self::UplinksUnknown(error) => write!(f, "guard: {error}"),
            Self::MonitorFailed { part, error } => {
                write!(f, "changes to {part} are not noticed at once, only every -syncinterval: {error}")
            }
        }
    }
}

/// Why the node could not be set up or restored; at least one field is present.
#[derive(Debug)]
pub struct NodeError {
    /// The failure of the link.
    pub link: Option<LinkError>,
    /// The failure of the rules.
    pub rules: Option<FilterError>,
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.link, &self.rules) {
            (Some(link), Some(rules)) => write!(f, "{link}; {rules}"),
            (Some(link), None) => link.fmt(f),
            (None, Some(rules)) => rules.fmt(f),
            (None, None) => Ok(()),
        }
    }
}

impl std::error::Error for NodeError {}

/// The parts that are not removed, because another process uses them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Retained {
    /// The link and its addresses.
    pub link: bool,
    /// The rules.
    pub rules: bool,
}

/// A node set up according to a [`NodeConfig`]. Dropping it leaves everything in place.
#[derive(Debug)]
pub struct NodeSetup {
    link: Option<Link>,
    link_name: String,
    link_kind: LinkKindPreference,
    filter: Option<PacketFilter>,
    /// Whether the rules were ever installed and have to be removed.
    rules_installed: bool,
    /// Whether another process had left rules.
    found_rules: bool,
    uplinks: Uplinks,
}

impl NodeSetup {
    /// Creates or adopts the link and installs the rules. A failure of the rules is an event:
    /// serving works without them.
    ///
    /// # Errors
    ///
    /// [`NodeError::link`] when the link cannot be configured; its creation is undone then.
    pub async fn apply(config: NodeConfig) -> Result<(Self, Vec<NodeEvent>), NodeError> {
        let mut events = Vec::new();
        let mut setup = Self {
            link: None,
            link_name: String::new(),
            link_kind: LinkKindPreference::default(),
            filter: config.filter.map(PacketFilter::new),
            rules_installed: false,
            found_rules: false,
            uplinks: Uplinks::default(),
        };
        if let Some(config) = config.link {
            setup.link_name.clone_from(&config.name);
            setup.link_kind = config.kind;
            let (link, changes) =
                Link::ensure(config).await.map_err(|error| NodeError { link: Some(error), rules: None })?;
            setup.link = Some(link);
            events.extend(setup.link_events(changes));
        }
        if let Some(filter) = &mut setup.filter {
            // An error is reported by the installation.
            setup.found_rules = filter.exists().unwrap_or(false);
        }
        events.extend(setup.ensure_rules());
        events.extend(setup.update_guard().await);
        Ok((setup, events))
    }

    /// Compares the node with the configuration and repairs it. Returns the repairs and failures.
    pub async fn verify(&mut self) -> Vec<NodeEvent> {
        let mut events = Vec::new();
        if let Some(link) = &self.link {
            match link.verify().await {
                Ok(changes) => events.extend(self.link_events(changes)),
                Err(error) => events.push(NodeEvent::LinkFailed(error)),
            }
        }
        events.extend(self.ensure_rules());
        events.extend(self.update_guard().await);
        events
    }

    /// Subscribes to netlink events about the link and the table, so that [`NodeSetup::verify`] can
    /// repair at once when [`NetlinkMonitor::changed`] returns. Also returns an event for each part
    /// that cannot be monitored and needs periodic verification.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O.
    #[must_use]
    pub fn monitor(&self) -> (NetlinkMonitor, Vec<NodeEvent>) {
        let (mut monitor, mut events) = (NetlinkMonitor::new(), Vec::new());
        if self.link.is_some()
            && let Err(error) = monitor.add_link(&self.link_name)
        {
            events.push(NodeEvent::MonitorFailed { part: format!("link {}", self.link_name), error });
        }
        if let Some(filter) = &self.filter
            && let Err(error) = monitor.add_table(filter.table())
        {
            let part = format!("packet-filter table inet {}", filter.table());
            events.push(NodeEvent::MonitorFailed { part, error });
        }
        if self.filter.as_ref().is_some_and(|filter| filter.config().guard)
            && let Err(error) = monitor.add_default_routes()
        {
            events.push(NodeEvent::MonitorFailed { part: "default routes".to_owned(), error });
        }
        (monitor, events)
    }

    /// Changes the addresses of the packet filter, and the rules where they differ.
    pub fn set_filtered_addresses(&mut self, addresses: Vec<FilteredAddress>) -> Vec<NodeEvent> {
        match &mut self.filter {
            Some(filter) => filter.set_addresses(addresses),
            None => return Vec::new(),
        }
        self.ensure_rules()
    }

    /// The packet-filter configuration in effect; `None` if there are no rules of ours.
    #[must_use]
    pub fn filter_config(&self) -> Option<&FilterConfig> {
        self.filter.as_ref().filter(|_| self.rules_installed).map(PacketFilter::config)
    }

    /// The counters of the rules; `None` if there are no rules of ours.
    #[must_use]
    pub fn packet_counters(&self) -> Option<PacketCounters> {
        self.filter.as_ref().filter(|_| self.rules_installed).map(PacketFilter::counters)
    }

    /// Whether clients depend on fail-open rules that another process had left.
    #[must_use]
    pub fn has_adopted_fail_open(&self) -> bool {
        self.found_rules && self.has_fail_open()
    }

    /// Whether fail-open rules are in place.
    #[must_use]
    pub fn has_fail_open(&self) -> bool {
        self.filter_config()
            .is_some_and(|config| config.addresses.iter().any(|filtered| filtered.fallback.is_some()))
    }

    /// Whether rules are configured and were never installed.
    #[must_use]
    pub const fn rules_never_installed(&self) -> bool {
        self.filter.is_some() && !self.rules_installed
    }

    /// Whether the link exists, is up, and has its addresses. The rules are not checked: responses
    /// are the same without them. False when the query fails.
    pub async fn is_configured(&self) -> bool {
        match &self.link {
            Some(link) => link.is_configured().await.unwrap_or(false),
            None => true,
        }
    }

    /// Removes those of a predecessor's addresses from the link that are not in our configuration.
    /// The rules were already replaced as a whole.
    pub async fn remove_predecessor_addresses(&self, addresses: &[IpAddr]) -> Vec<NodeEvent> {
        let Some(link) = &self.link else { return Vec::new() };
        match link.remove_predecessor_addresses(addresses).await {
            Ok(changes) => self.link_events(changes),
            Err(error) => vec![NodeEvent::LinkFailed(error)],
        }
    }

    /// Removes our addresses from the link except `addresses`, which belong to the process that
    /// takes over the link.
    pub async fn remove_addresses_except(&self, addresses: &[IpAddr]) -> Vec<NodeEvent> {
        let Some(link) = &self.link else { return Vec::new() };
        match link.remove_addresses_except(addresses).await {
            Ok(changes) => self.link_events(changes),
            Err(error) => vec![NodeEvent::LinkFailed(error)],
        }
    }

    /// Restores the node: removes the rules, then the link, as [`Link::remove`] does.
    ///
    /// # Errors
    ///
    /// The parts that could not be removed; a failure of one does not prevent the other.
    pub async fn restore(self) -> Result<(), NodeError> {
        self.restore_except(Retained::default()).await
    }

    /// Restores the node as [`restore`](Self::restore) does, except the `retained` parts.
    ///
    /// # Errors
    ///
    /// The parts that could not be removed; a failure of one does not prevent the other.
    pub async fn restore_except(self, retained: Retained) -> Result<(), NodeError> {
        let rules = match self.filter {
            Some(mut filter) if self.rules_installed && !retained.rules => filter.remove().err(),
            _ => None,
        };
        let link = match self.link {
            Some(link) if !retained.link => link.remove().await.err(),
            _ => None,
        };
        if link.is_none() && rules.is_none() { Ok(()) } else { Err(NodeError { link, rules }) }
    }

    fn link_events(&self, changes: LinkChanges) -> Vec<NodeEvent> {
        if changes.is_empty() {
            return Vec::new();
        }
        let preferred = self.link_kind.first();
        let fallback = changes.0.iter().find_map(|change| match change {
            LinkChange::Created(created) if *created != preferred => Some(*created),
            _ => None,
        });
        let name = self.link_name.clone();
        let mut events = vec![NodeEvent::LinkChanged { name: name.clone(), changes }];
        events.extend(fallback.map(|created| NodeEvent::FallbackKind { name, preferred, created }));
        events
    }

    /// Puts the uplinks of now in the guard's set.
    async fn update_guard(&mut self) -> Option<NodeEvent> {
        let filter = self.filter.as_mut().filter(|filter| self.rules_installed && filter.config().guard)?;
        let names = match self.uplinks.names().await {
            Ok(names) => names,
            Err(error) => return Some(NodeEvent::UplinksUnknown(error.to_string())),
        };
        match filter.set_uplinks(names.clone()) {
            Ok(changed) => changed.then_some(NodeEvent::UplinksChanged(names)),
            Err(error) => Some(NodeEvent::UplinksUnknown(error.to_string())),
        }
    }

    fn ensure_rules(&mut self) -> Vec<NodeEvent> {
        let Some(filter) = &mut self.filter else { return Vec::new() };
        let is_known = filter.fail_open_error().is_some();
        let ensured = match filter.is_installed() {
            Ok(true) => Ok(false),
            Ok(false) => filter.install().map(|()| true),
            Err(error) => Err(error),
        };
        match ensured {
            Ok(false) => {
                self.rules_installed = true;
                Vec::new()
            }
            Ok(true) => {
                self.rules_installed = true;
                let installed = NodeEvent::RulesInstalled(filter.table().to_owned());
                let unsupported = filter
                    .fail_open_error()
                    .filter(|_| !is_known)
                    .map(|error| NodeEvent::NoFailOpen(error.to_string()));
                std::iter::once(installed).chain(unsupported).collect()
            }
            Err(error) => vec![NodeEvent::RulesFailed(error)],
        }
    }
}
