//! The control thread's event loop: signals, hand-over requests, timers, changes of the node.

use tracing::warn;

use super::Instance;
use super::housekeeping::INTERVAL;
use super::standby::StandbyEnd;
use crate::clock::{self, AlignedTimer};
use crate::control::exit::{ExitReason, FatalError};
use crate::control::file_contents::FileContentWatch;
use crate::control::handover::HandoverEvent;
use crate::control::packet_filter_log::PacketFilterLog;
use crate::control::reload::CorefileWatch;
use crate::control::signals::{SignalAction, Signals};
use crate::control::upstream_files::UpstreamFileWatch;
use crate::handover::SuccessorLink;
use crate::snapshot::FinalWrite;

/// Why the event loop ends.
enum StopReason {
    /// A signal.
    Terminate,
    /// A successor reads from the sockets.
    TakenOver(Box<SuccessorLink>),
}

impl Instance<'_> {
    /// Serves until a signal ends it, alone or on standby for a successor; then shuts down.
    pub(in crate::control) async fn run(mut self, signals: &mut Signals) -> Result<ExitReason, FatalError> {
        let ended = self.serve_until_exit(signals).await;
        self.close().await;
        ended
    }

    async fn serve_until_exit(&mut self, signals: &mut Signals) -> Result<ExitReason, FatalError> {
        loop {
            let stop_reason = self.serve(signals).await?;
            self.readiness.stop_checks();
            match stop_reason {
                StopReason::Terminate => {
                    self.readiness.withdraw();
                    return Ok(self.shut_down(signals).await);
                }
                StopReason::TakenOver(successor) => {
                    if self.run_standby(*successor, signals).await? == StandbyEnd::Terminate {
                        return Ok(self.finish_draining(signals).await);
                    }
                }
            }
        }
    }

    /// Handles events until a signal, or until a successor has taken over.
    async fn serve(&mut self, signals: &mut Signals) -> Result<StopReason, FatalError> {
        let mut node_changes = self.node.monitor().await;
        self.repair_missed_changes().await;
        self.readiness.sockets_are_read();
        self.readiness.check_listeners(&self.config.settings.listeners);
        let mut corefile_watch = CorefileWatch::new(&self.config.settings, self.context);
        let mut file_watch = UpstreamFileWatch::default();
        let mut content_watch = FileContentWatch::default();
        let mut packet_filter_log = PacketFilterLog::new(self.context.counters);
        let mut housekeeping = AlignedTimer::new(INTERVAL);
        let mut syncs = AlignedTimer::new(self.context.flags.sync_interval);
        loop {
            tokio::select! {
                biased;
                action = signals.next() => match action {
                    SignalAction::Terminate => return Ok(StopReason::Terminate),
                    SignalAction::Reload => self.reload(&mut corefile_watch, true).await,
                },
                failure = self.workers.failed() => return Err(failure),
                message = self.config.loop_detectors.detected() => {
                    return Err(FatalError::ForwardingLoop(message));
                }
                event = self.handover.next_event() => match event {
                    HandoverEvent::Request(request) => {
                        if let Some(successor) = self.handle_request(*request).await {
                            return Ok(StopReason::TakenOver(Box::new(successor)));
                        }
                    }
                    HandoverEvent::PredecessorExited => self.remove_predecessor().await,
                },
                () = housekeeping.expired() => {
                    self.run_housekeeping().await?;
                    self.check_upstream_files(&mut file_watch).await;
                    self.check_file_contents(&mut content_watch).await;
                    if corefile_watch.files_have_changed() {
                        self.reload(&mut corefile_watch, false).await;
                    }
                    packet_filter_log.log_due(self.context.counters, clock::now());
                }
                () = node_changes.changed() => {
                    self.context.counters.netlink_overruns.add(node_changes.take_overruns());
                    self.check_node().await;
                }
                () = syncs.expired() => {
                    self.check_service_translation().await;
                    self.check_node().await;
                }
                () = corefile_watch.due() => self.reload(&mut corefile_watch, false).await,
            }
        }
    }

    /// Closes the HTTP endpoints and logs errors that were only counted so far.
    async fn close(mut self) {
        let keeps_node = self.context.flags.skip_teardown;
        self.cache.stop_snapshots(if keeps_node { FinalWrite::Write } else { FinalWrite::Skip });
        self.config.loop_detectors.stop().await;
        self.config.log_pending_errors(self.context.logger);
        if let Some(path) = &self.context.flags.pid_file
            && let Err(error) = std::fs::remove_file(path)
        {
            warn!("-pidfile {}: {error}", path.display());
        }
        self.http.close().await;
    }
}
