//! The end: who goes on, and what is still answered.

use std::time::Duration;

use tokio::time;
use tracing::{error, info, warn};

use super::super::ExitReason;
use super::super::signals::Signals;
use super::handover::{dns_socket, next_knock};
use super::{Instance, LOOK, ReadinessConditions};
use crate::clock;
use crate::worker::ListeningSockets;

/// Longer than the deadline of any query that is open.
const DRAIN_TIME: Duration = Duration::from_secs(5);
/// How long one who is told to leave waits for a successor that is about to take over.
const PATIENCE: Duration = Duration::from_secs(2);

impl Instance<'_> {
    /// Leaves in order. A successor that is about to take over, or a predecessor that stands by, goes on at once; without
    /// them DNS is served for as long as the lameduck lasts. Then what is open is answered.
    pub(crate) async fn leave(
        &mut self,
        signals: &mut Signals,
        conditions: &ReadinessConditions,
    ) -> ExitReason {
        let courtesies = async {
            let is_succeeded =
                self.is_succeeded_by_last(conditions).await || self.wait_or_give_back(conditions).await;
            // Whoever comes from now on need not wait for us.
            self.door = None;
            self.drain().await;
            if is_succeeded { ExitReason::HandedOver } else { ExitReason::Signal }
        };
        tokio::select! {
            ending = courtesies => ending,
            () = signals.leave() => ExitReason::SecondSignal,
        }
    }

    /// Has a predecessor go on that stands by. Without one DNS is served for as long as the lameduck lasts; true when a
    /// successor has taken over meanwhile.
    async fn wait_or_give_back(&mut self, conditions: &ReadinessConditions) -> bool {
        let lameduck = self.settings.health.map_or(Duration::ZERO, |health| health.lameduck);
        if self.give_back().await || lameduck.is_zero() {
            return false;
        }
        info!("Going into lameduck mode for {lameduck:?}");
        self.is_succeeded_within(lameduck, conditions).await
    }

    /// Ends what was still open when a successor took over, and us.
    pub(crate) async fn retire(&mut self, signals: &mut Signals) -> ExitReason {
        tokio::select! {
            () = self.drain() => ExitReason::HandedOver,
            () = signals.leave() => ExitReason::SecondSignal,
        }
    }

    /// Has all workers answer what is open, at the same time. One that hangs is not waited for: the node must be
    /// given back.
    async fn drain(&mut self) {
        // A socket that its worker has closed must not stay open here, unread.
        self.listening = ListeningSockets::default();
        let until = clock::now() + DRAIN_TIME;
        // All are told before any is waited for: none reads on while another has stopped.
        let draining: Vec<_> = self.workers.iter().filter_map(|worker| worker.drain(until)).collect();
        let all_drained = async {
            for drained in draining {
                // A worker that has ended has nothing left to answer.
                drained.await.unwrap_or_default();
            }
        };
        if time::timeout_at((until + LOOK).into(), all_drained).await.is_err() {
            error!("a worker hangs, which is a bug: leaving without it");
        }
    }

    /// Has the predecessor go on, if it stands by; true when it does.
    pub(super) async fn give_back(&mut self) -> bool {
        let Some(mut lease) = self.lease.take() else { return false };
        // Our socket goes first: its file is the predecessor's again.
        self.door = None;
        let sockets: Vec<_> = self.listening.own().filter_map(|socket| dns_socket(socket).ok()).collect();
        match lease.give_back(&sockets).await {
            Ok(()) => {
                // Nobody is to hear from us that nothing is ready here.
                self.http_server.pause();
                info!("the instance before goes on");
                true
            }
            Err(error) => {
                warn!("the instance before does not go on: {error}");
                false
            }
        }
    }

    /// Leaves everything to a successor that was about to take over when we were told to leave, if it does so in a
    /// moment; true when it is there.
    pub(super) async fn is_succeeded_by_last(&mut self, conditions: &ReadinessConditions) -> bool {
        self.offered.take().is_some() && self.is_succeeded_within(PATIENCE, conditions).await
    }

    /// Leaves everything to a successor that takes over within `limit`; true when it is there.
    pub(super) async fn is_succeeded_within(
        &mut self,
        limit: Duration,
        conditions: &ReadinessConditions,
    ) -> bool {
        let taken = async {
            loop {
                let knock = next_knock(&mut self.door).await;
                if let Some(succession) = self.answer_knock(knock, conditions) {
                    return succession;
                }
            }
        };
        let Ok(succession) = time::timeout(limit, taken).await else { return false };
        self.step_aside().await;
        let is_there = succession.confirm().await.is_ok();
        if !is_there && let Err(error) = self.step_forward().await {
            error!("a successor has ended, and what it left is not read: {error}");
        }
        is_there
    }
}
