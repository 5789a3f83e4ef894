//! The conditions of `/ready`: sockets, link, and a response to a query of our own.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use corefile::settings::Listener;
use tokio::task::JoinSet;
use tokio::time;

use crate::clock;
use crate::readiness::{Condition, Readiness};
use crate::self_check;

/// From one self-check to the next while every listener responds.
const INTERVAL: Duration = Duration::from_secs(5);
/// The same while one does not.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct ReadinessConditions {
    readiness: Readiness,
    sockets: Condition,
    link: Condition,
    self_check: Rc<Condition>,
    /// The self-check is a task, since neither a signal nor a successor may wait for a response.
    checks: JoinSet<()>,
}

impl ReadinessConditions {
    pub(super) fn new(readiness: Readiness) -> Self {
        Self {
            sockets: readiness.add_condition("sockets"),
            link: readiness.add_condition("link"),
            self_check: Rc::new(readiness.add_condition("self-check")),
            checks: JoinSet::new(),
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

    /// Queries every one of these listeners from now on, and no other.
    pub(super) fn check_listeners(&mut self, listeners: &[Listener]) {
        // Of a listener on all addresses the IPv4 one is queried: loopback always has it.
        let queried = listeners.iter().filter_map(|listener| {
            let ipv4 = listener.addresses.iter().find(|address| address.is_ipv4());
            ipv4.or_else(|| listener.addresses.first()).copied()
        });
        self.stop_checks();
        self.checks.spawn_local(check(queried.collect(), Rc::clone(&self.self_check)));
    }

    /// Queries no listener any more: another instance reads the sockets, or none.
    pub(super) fn stop_checks(&mut self) {
        self.checks = JoinSet::new();
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

/// The self-check, for as long as the task exists.
async fn check(addresses: Vec<SocketAddr>, condition: Rc<Condition>) {
    loop {
        let responding = all_respond(&addresses).await;
        set(&condition, responding);
        let interval = if responding { INTERVAL } else { RETRY_INTERVAL };
        time::sleep_until(clock::next_multiple(interval).into()).await;
    }
}

/// Queries all addresses at the same time.
async fn all_respond(addresses: &[SocketAddr]) -> bool {
    let mut checks = JoinSet::new();
    for address in addresses {
        checks.spawn_local(self_check::responds(*address));
    }
    checks.join_all().await.into_iter().all(|responds| responds)
}

fn set(condition: &Condition, met: bool) {
    if met {
        condition.fulfil();
    } else {
        condition.revoke();
    }
}
