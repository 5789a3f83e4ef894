//! Everything that the node gets from us and gives back: the link with its addresses, and the packet-filter rules.

use std::fmt;
use std::io;
use std::net::IpAddr;

use crate::link::{Link, LinkChange, LinkChanges, LinkConfig, LinkError, LinkKind, LinkKindPreference};
use crate::netlink_events::NetlinkMonitor;
use crate::notrack::{self, FilterError, NotrackConfig};

/// What the node should get; a part that is absent is left to the administrator.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NodeConfig {
    /// The link and its addresses.
    pub link: Option<LinkConfig>,
    /// The rules that keep DNS packets out of conntrack.
    pub notrack: Option<NotrackConfig>,
}

/// Something that was done to the node, or could not be done. Each text is one line.
#[derive(Debug)]
pub enum NodeEvent {
    /// The link was made, adopted or repaired.
    LinkChanged {
        /// The link's name.
        name: String,
        /// What was done to it.
        changes: LinkChanges,
    },
    /// The link was made as the second choice: the kernel has no driver for the first.
    FallbackKind {
        /// The link's name.
        name: String,
        /// What the kernel has no driver for.
        lacking: LinkKind,
        /// What was made instead.
        made: LinkKind,
    },
    /// The link is not as planned.
    LinkFailed(LinkError),
    /// The rules were missing or different and stand as planned now, in the table of this name.
    RulesInstalled(String),
    /// The rules are not as planned. Answers are the same without them.
    RulesFailed(FilterError),
    /// LinkChanges by others are noticed only when the node is compared with the plan.
    WatchFailed {
        /// E.g. `link nodelocaldns`.
        part: String,
        /// The kernel's answer.
        error: io::Error,
    },
}

impl NodeEvent {
    /// Whether something could not be done.
    #[must_use]
    pub const fn is_failure(&self) -> bool {
        matches!(self, Self::LinkFailed(_) | Self::RulesFailed(_))
    }
}

impl fmt::Display for NodeEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LinkChanged { name, changes } => write!(f, "link {name}: {changes}"),
            Self::FallbackKind { name, lacking, made } => write!(
                f,
                "link {name} is of kind {made}: the kernel has no driver for links of kind {lacking}; load it on the node \
                 (modprobe {lacking}) or choose with -link-kind {made}"
            ),
            Self::LinkFailed(error) => error.fmt(f),
            Self::RulesInstalled(table) => write!(f, "packet-filter table inet {table} installed"),
            Self::RulesFailed(error) => write!(f, "DNS packets are tracked by conntrack: {error}"),
            Self::WatchFailed { part, error } => {
                write!(f, "changes to {part} are not noticed at once, only every -syncinterval: {error}")
            }
        }
    }
}

/// Why the node could not be set up or restored; at least one part is present.
#[derive(Debug)]
pub struct NodeError {
    /// What is wrong with the link.
    pub link: Option<LinkError>,
    /// What is wrong with the rules.
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

/// What is not given back, because another process looks after it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Retained {
    /// The link and its addresses.
    pub link: bool,
    /// The rules.
    pub rules: bool,
}

/// A node that was set up according to a [`NodeConfig`]. Dropping it leaves everything in place.
#[derive(Debug)]
pub struct NodeSetup {
    link: Option<Link>,
    link_name: String,
    link_kind: LinkKindPreference,
    notrack: Option<NotrackConfig>,
    /// Whether the rules ever stood, so that there is something to take away.
    rules_installed: bool,
}

impl NodeSetup {
    /// Makes or adopts the link and installs the rules. Rules that cannot be installed are reported as an event:
    /// serving goes on without them.
    ///
    /// # Errors
    ///
    /// [`NodeError::link`] when the link cannot be made as planned; what was made is undone then.
    pub async fn apply(plan: NodeConfig) -> Result<(Self, Vec<NodeEvent>), NodeError> {
        let mut events = Vec::new();
        let mut setup = Self {
            link: None,
            link_name: String::new(),
            link_kind: LinkKindPreference::default(),
            notrack: plan.notrack,
            rules_installed: false,
        };
        if let Some(plan) = plan.link {
            setup.link_name.clone_from(&plan.name);
            setup.link_kind = plan.kind;
            let (link, changes) =
                Link::ensure(plan).await.map_err(|error| NodeError { link: Some(error), rules: None })?;
            setup.link = Some(link);
            events.extend(setup.link_events(changes));
        }
        events.extend(setup.ensure_rules());
        Ok((setup, events))
    }

    /// Compares the node with the plan and repairs what is missing; says what was repaired and what could not be.
    pub async fn verify(&mut self) -> Vec<NodeEvent> {
        let mut events = Vec::new();
        if let Some(link) = &self.link {
            match link.verify().await {
                Ok(changes) => events.extend(self.link_events(changes)),
                Err(error) => events.push(NodeEvent::LinkFailed(error)),
            }
        }
        events.extend(self.ensure_rules());
        events
    }

    /// Subscribes to what the kernel tells about the link and the table of the plan, so that [`NodeSetup::verify`] can
    /// repair at once what [`NetlinkMonitor::changed`] announces. Says what cannot be watched: that is noticed by verifying now
    /// and then.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O.
    #[must_use]
    pub fn monitor(&self) -> (NetlinkMonitor, Vec<NodeEvent>) {
        let (mut watch, mut events) = (NetlinkMonitor::new(), Vec::new());
        if self.link.is_some()
            && let Err(error) = watch.link(&self.link_name)
        {
            events.push(NodeEvent::WatchFailed { part: format!("link {}", self.link_name), error });
        }
        if let Some(plan) = &self.notrack
            && let Err(error) = watch.table(&plan.table)
        {
            let part = format!("packet-filter table inet {}", plan.table);
            events.push(NodeEvent::WatchFailed { part, error });
        }
        (watch, events)
    }

    /// Whether rules are planned and never stood.
    #[must_use]
    pub const fn rules_never_installed(&self) -> bool {
        self.notrack.is_some() && !self.rules_installed
    }

    /// Whether the link is there, up, and carries its addresses. The rules do not count: answers are the same without
    /// them. A kernel that does not answer counts as no.
    pub async fn is_configured(&self) -> bool {
        match &self.link {
            Some(link) => link.is_configured().await.unwrap_or(false),
            None => true,
        }
    }

    /// Removes from the link those of a predecessor's addresses that are not in the plan. The rules need no such step:
    /// they were replaced as a whole.
    pub async fn remove_predecessor_addresses(&self, addresses: &[IpAddr]) -> Vec<NodeEvent> {
        let Some(link) = &self.link else { return Vec::new() };
        match link.remove_predecessor_addresses(addresses).await {
            Ok(changes) => self.link_events(changes),
            Err(error) => vec![NodeEvent::LinkFailed(error)],
        }
    }

    /// Removes from the link what another process, to which it is left, does not want: its plan has `addresses`.
    pub async fn remove_addresses_except(&self, addresses: &[IpAddr]) -> Vec<NodeEvent> {
        let Some(link) = &self.link else { return Vec::new() };
        match link.remove_addresses_except(addresses).await {
            Ok(changes) => self.link_events(changes),
            Err(error) => vec![NodeEvent::LinkFailed(error)],
        }
    }

    /// Gives the node back as it was: removes the rules, then the link, as [`Link::remove`] says.
    ///
    /// # Errors
    ///
    /// The iovecs that could not be removed; a failure of one does not keep the other.
    pub async fn restore(self) -> Result<(), NodeError> {
        self.restore_except(Retained::default()).await
    }

    /// Gives the node back as [`restore`](Self::restore) does, but for what is `kept`.
    ///
    /// # Errors
    ///
    /// The iovecs that could not be removed; a failure of one does not keep the other.
    pub async fn restore_except(self, kept: Retained) -> Result<(), NodeError> {
        let rules = match &self.notrack {
            Some(plan) if self.rules_installed && !kept.rules => notrack::remove(&plan.table).err(),
            _ => None,
        };
        let link = match self.link {
            Some(link) if !kept.link => link.remove().await.err(),
            _ => None,
        };
        if link.is_none() && rules.is_none() { Ok(()) } else { Err(NodeError { link, rules }) }
    }

    fn link_events(&self, changes: LinkChanges) -> Vec<NodeEvent> {
        if changes.is_empty() {
            return Vec::new();
        }
        let lacking = self.link_kind.first();
        let other = changes.0.iter().find_map(|change| match change {
            LinkChange::Created(made) if *made != lacking => Some(*made),
            _ => None,
        });
        let name = self.link_name.clone();
        let mut events = vec![NodeEvent::LinkChanged { name: name.clone(), changes }];
        events.extend(other.map(|made| NodeEvent::FallbackKind { name, lacking, made }));
        events
    }

    fn ensure_rules(&mut self) -> Option<NodeEvent> {
        let plan = self.notrack.as_ref()?;
        let ensured = notrack::is_installed(plan)
            .and_then(|installed| if installed { Ok(false) } else { notrack::install(plan).map(|()| true) });
        match ensured {
            Ok(installed) => {
                self.rules_installed = true;
                installed.then(|| NodeEvent::RulesInstalled(plan.table.clone()))
            }
            Err(error) => Some(NodeEvent::RulesFailed(error)),
        }
    }
}
