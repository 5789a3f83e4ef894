//! What is looked after while the process serves: workers, answers, link and rules.

use std::time::{Duration, Instant};

use linux::node::{NodeEvent, NodeSetup};
use tokio::sync::oneshot;
use tracing::{error, warn};

use super::super::{FatalError, tell};
use super::Instance;
use crate::handover::{Server, SocketDirectory};
use crate::readiness::{Condition, Readiness};
use crate::worker::Worker;
use crate::{clock, self_check};

/// A successor that was told what there is takes over within a fraction of this.
const HESITATION: Duration = Duration::from_secs(3);

/// A worker that takes no order for so long makes no progress. One that is merely starved of CPU does, in between.
const PROGRESS_TIME: Duration = Duration::from_secs(10);

/// What must be true before queries may come.
pub(crate) struct ReadinessConditions {
    readiness: Readiness,
    sockets: Condition,
    link: Condition,
    answers: Condition,
}

impl ReadinessConditions {
    pub(crate) fn of(readiness: &Readiness) -> Self {
        Self {
            readiness: readiness.clone(),
            sockets: readiness.add_condition("sockets"),
            link: readiness.add_condition("link"),
            answers: readiness.add_condition("an answer of our own"),
        }
    }

    /// The names of those that are not.
    pub(super) fn awaited(&self) -> Vec<String> {
        self.readiness.unmet().into_iter().map(str::to_owned).collect()
    }
}

/// A question to a worker whether it makes progress, and since when it is open.
pub(super) struct Ping {
    since: Instant,
    answer: Option<oneshot::Receiver<()>>,
}

impl Instance<'_> {
    /// Are the workers there, do they answer, are link and addresses there?
    pub(super) async fn look(
        &mut self,
        node: &mut NodeSetup,
        conditions: &ReadinessConditions,
    ) -> Result<(), FatalError> {
        if self.workers.iter().any(Worker::has_ended) {
            return Err(FatalError::WorkerDied);
        }
        conditions.sockets.fulfil();
        self.ping();
        self.mind_door().await;
        if self.offered.is_some_and(|offered| clock::now() >= offered + HESITATION) {
            self.offered = None;
            self.repair(node).await;
        }
        if self.http_server.is_incomplete() {
            // node-cache, whose directory we take, holds its port until it ends.
            self.http_server
                .rebind(&super::reconfigure::endpoints(self.context, &self.settings))
                .map_err(FatalError::Admin)?;
        }
        for line in self.error_log.take_due(clock::now()) {
            self.context.logger.log(line.level, line.text);
        }
        if !node.is_configured().await {
            conditions.link.revoke();
            self.repair(node).await;
        }
        if node.is_configured().await {
            conditions.link.fulfil();
        }
        let mut answered = true;
        for listener in &self.settings.listeners {
            // One that listens everywhere is asked by IPv4: loopback always has it.
            let by_ipv4 = listener.addresses.iter().find(|address| address.is_ipv4());
            if let Some(&address) = by_ipv4.or_else(|| listener.addresses.first()) {
                answered &= self_check::responds(address).await;
            }
        }
        if answered {
            conditions.answers.fulfil()
        } else {
            conditions.answers.revoke()
        }
        Ok(())
    }

    /// Puts right what happened to the node while nobody told: before this process listened, or beside a successor that
    /// had other plans.
    pub(super) async fn catch_up(&mut self, node: &mut NodeSetup) {
        self.rules_failed |= node.rules_never_installed();
        self.repair(node).await;
        if self.lease.is_none() && !self.forsaken.is_empty() {
            self.predecessor_has_left(node).await;
        }
    }

    /// Asks each worker for a sign of life, once the last one has come.
    fn ping(&mut self) {
        let now = clock::now();
        self.pings.resize_with(self.workers.len(), || Ping { since: now, answer: None });
        let mut stuck = None;
        for (number, (worker, ping)) in self.workers.iter().zip(&mut self.pings).enumerate() {
            if ping.answer.as_mut().is_none_or(|answer| answer.try_recv().is_ok()) {
                *ping = Ping { since: now, answer: worker.ping() };
            }
            let silence = now.saturating_duration_since(ping.since);
            if silence >= PROGRESS_TIME {
                stuck = Some(format!("worker {number} makes no progress for {} s\n", silence.as_secs()));
            }
        }
        self.http_server.set_health_error(stuck);
    }

    /// Puts back what someone took away.
    pub(super) async fn repair(&mut self, node: &mut NodeSetup) {
        if self.offered.is_some() {
            // A successor may be setting up the node as it needs it. Two must not undo each other's work.
            return;
        }
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
            tell(event, self.context.process);
            if !event.is_failure() {
                self.context.process.repairs.inc();
            }
        }
    }

    /// Can be met by a successor, if there is a directory for it.
    pub(super) fn open_door(&mut self, directory: &SocketDirectory) {
        match Server::open(directory) {
            Ok(door) => (self.door, self.door_failed) = (Some(door), false),
            Err(error) if !std::mem::replace(&mut self.door_failed, true) => {
                error!(
                    "{}: no successor will be able to take over: {error}",
                    directory.directory().display()
                );
            }
            // That has been told.
            Err(_) => {}
        }
    }

    /// Sees to it that a successor can meet somebody: us, unless another instance is in service beside us.
    pub(super) async fn mind_door(&mut self) {
        let Some(directory) = self.context.directory else { return };
        let is_lost = match &self.door {
            Some(door) => door.is_lost(directory).await,
            None => true,
        };
        if is_lost {
            if self.door.take().is_some() {
                warn!("the socket of the hand-over was removed: made again");
            }
            self.open_door(directory);
        }
    }
}
