//! What chains do with packets.

use std::fmt;
use std::net::IpAddr;

use super::packet::Direction;

/// What a chain does with untracked DNS packets of pods to an address, or with the responses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ChainVerdict {
    /// E.g. `ip filter INPUT`.
    pub chain: String,
    /// Whether the packets come to the address or from it.
    pub direction: Direction,
    /// Ours.
    pub address: IpAddr,
    /// UDP and TCP, the worse one.
    pub verdict: Verdict,
}

/// What happens to a packet.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Verdict {
    /// It is accepted.
    Accepts,
    /// It is dropped unless a rule before accepts it whose conditions depend on more than its
    /// destination: `by` drops it.
    MayDrop {
        /// E.g. `its policy`.
        by: String,
    },
    /// It is dropped.
    Drops {
        /// E.g. `rule 3 of KUBE-FIREWALL`.
        by: String,
    },
}

impl fmt::Display for ChainVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { chain, direction, address, verdict } = self;
        let packets = match direction {
            Direction::Queries => format!("DNS packets to {address}"),
            Direction::Responses => format!("DNS responses from {address}"),
        };
        match verdict {
            Verdict::Accepts => write!(f, "{chain} accepts {packets}"),
            Verdict::MayDrop { by } => write!(f, "{chain} may drop {packets}, by {by}"),
            Verdict::Drops { by } => write!(f, "{chain} drops {packets}, by {by}"),
        }
    }
}
