//! Access control by client and type (`acl`).

use std::net::IpAddr;

use wire::header::RecordType;
use wire::name::Name;

use super::network::Network;

/// An `acl` directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclRule {
    /// The zones it is for.
    pub zones: Vec<Name>,
    /// In order; the first that matches a query counts.
    pub policies: Vec<AclPolicy>,
}

/// An action for some queries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclPolicy {
    /// What happens to them.
    pub action: AclAction,
    /// Their types; empty for all.
    pub types: Vec<RecordType>,
    /// The networks of their clients; empty for all.
    pub networks: Vec<Network>,
}

/// What happens to a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AclAction {
    /// It is answered.
    Allow = 0,
    /// REFUSED, with the extended error Blocked.
    Block = 1,
    /// No records, with the extended error Filtered.
    Filter = 2,
    /// No response.
    Drop = 3,
}

impl AclAction {
    /// All, by their numbers.
    pub const ALL: [Self; 4] = [Self::Allow, Self::Block, Self::Filter, Self::Drop];

    /// Its name in an `acl` directive.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Block => "block",
            Self::Filter => "filter",
            Self::Drop => "drop",
        }
    }

    /// The action with a name, in lower case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }
}

impl AclRule {
    /// What the rules say about a query for `name`, in wire form and lower case: the first policy that
    /// matches, and the zone of its rule. Without one it is allowed.
    pub(crate) fn decide<'r>(
        rules: &'r [Self],
        name: &[u8],
        qtype: RecordType,
        client: IpAddr,
    ) -> Option<(AclAction, &'r Name)> {
        rules.iter().find_map(|rule| {
            let zone = rule.zone_of(name)?;
            let policy = rule.policies.iter().find(|policy| policy.matches(qtype, client))?;
            Some((policy.action, zone))
        })
    }

    /// The longest of its zones that covers a name.
    fn zone_of(&self, name: &[u8]) -> Option<&Name> {
        let covering = self.zones.iter().filter(|zone| zone.covers(name));
        covering.max_by_key(|zone| zone.as_wire().len())
    }
}

impl AclPolicy {
    fn matches(&self, qtype: RecordType, client: IpAddr) -> bool {
        let has_type = self.types.is_empty() || self.types.contains(&qtype);
        has_type && (self.networks.is_empty() || self.networks.iter().any(|network| network.contains(client)))
    }
}
