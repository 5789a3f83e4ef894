//! What is looked after while the process serves: workers, answers, link and rules.

use linux::node::{NodeEvent, NodeSetup};

use super::super::{Fault, tell};
use super::Service;
use crate::readiness::{Guard, Readiness};
use crate::worker::Worker;
use crate::{checks, clock};

/// What must be true before queries may come.
pub(super) struct Conditions {
    sockets: Guard,
    link: Guard,
    answers: Guard,
}

impl Conditions {
    pub(super) fn of(readiness: &Readiness) -> Self {
        Self {
            sockets: readiness.guard("sockets"),
            link: readiness.guard("link"),
            answers: readiness.guard("an answer of our own"),
        }
    }
}

impl Service<'_> {
    /// Are the workers there, do they answer, are link and addresses there?
    pub(super) async fn look(&mut self, node: &mut NodeSetup, conditions: &Conditions) -> Result<(), Fault> {
        if self.workers.iter().any(Worker::has_ended) {
            return Err(Fault::WorkerDied);
        }
        conditions.sockets.done();
        for line in self.error_log.due(clock::now()) {
            self.scene.voice.say(line.level, line.text);
        }
        if !node.in_place().await {
            conditions.link.await_again();
            self.repair(node).await;
        }
        if node.in_place().await {
            conditions.link.done();
        }
        let mut answered = true;
        for listener in &self.settings.listeners {
            // One that listens everywhere is asked by IPv4: loopback always has it.
            let by_ipv4 = listener.addresses.iter().find(|address| address.is_ipv4());
            if let Some(&address) = by_ipv4.or_else(|| listener.addresses.first()) {
                answered &= checks::is_answered(address).await;
            }
        }
        if answered {
            conditions.answers.done()
        } else {
            conditions.answers.await_again()
        }
        Ok(())
    }

    /// Puts back what someone took away.
    pub(super) async fn repair(&mut self, node: &mut NodeSetup) {
        let events = node.verify().await;
        let failed_before = std::mem::replace(
            &mut self.rules_failed,
            events.iter().any(|event| matches!(event, NodeEvent::RulesFailed(_))),
        );
        for event in &events {
            // A kernel without packet filter says so each time; the operator is told once.
            if matches!(event, NodeEvent::RulesFailed(_)) && failed_before {
                continue;
            }
            tell(event, self.scene.process);
            if !event.is_failure() {
                self.scene.process.repairs.up();
            }
        }
    }
}
