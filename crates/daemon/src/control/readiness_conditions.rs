//! The conditions of `/ready`: sockets, link, and a response to a query of our own.

use corefile::settings::Listener;

use crate::readiness::{Condition, Readiness};
use crate::self_check;

pub(super) struct ReadinessConditions {
    readiness: Readiness,
    sockets: Condition,
    link: Condition,
    self_check: Condition,
}

impl ReadinessConditions {
    pub(super) fn new(readiness: Readiness) -> Self {
        Self {
            sockets: readiness.add_condition("sockets"),
            link: readiness.add_condition("link"),
            self_check: readiness.add_condition("self-check"),
            readiness,
        }
    }

    /// For `/ready`.
    pub(super) fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    pub(super) fn sockets_are_read(&self) {
        self.sockets.fulfil();
    }

    pub(super) fn set_link_in_place(&self, in_place: bool) {
        set(&self.link, in_place);
    }

    /// Queries every listener.
    pub(super) async fn check_listeners(&self, listeners: &[Listener]) {
        let mut responding = true;
        for listener in listeners {
            // Of a listener on all addresses the IPv4 one is queried: loopback always has it.
            let ipv4 = listener.addresses.iter().find(|address| address.is_ipv4());
            if let Some(&address) = ipv4.or_else(|| listener.addresses.first()) {
                responding &= self_check::responds(address).await;
            }
        }
        set(&self.self_check, responding);
    }

    /// Not ready any more, for good: the instance shuts down.
    pub(super) fn withdraw(&self) {
        self.readiness.withdraw();
    }

    /// Names of the conditions that are not met.
    pub(super) fn unmet(&self) -> Vec<String> {
        self.readiness.unmet().into_iter().map(str::to_owned).collect()
    }
}

fn set(condition: &Condition, met: bool) {
    if met {
        condition.fulfil();
    } else {
        condition.revoke();
    }
}
