//! Housekeeping of the running instance, once a second, without waiting: workers, snapshot,
//! sockets of the directory, endpoints, due log lines, a link that could not be repaired.

use std::time::Duration;

use tracing::info;

use super::Instance;
use crate::control::exit::FatalError;
use crate::control::fail_open;
use crate::control::http_endpoints;

/// From one round to the next.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

impl Instance<'_> {
    pub(super) async fn run_housekeeping(&mut self) -> Result<(), FatalError> {
        self.http.set_health_error(self.workers.check_progress());
        self.cache.check_snapshot();
        self.handover.ensure_listening().await;
        self.control_socket.ensure_listening().await;
        if self.handover.expire_offer() {
            self.check_node().await;
        }
        if self.http.is_incomplete().await {
            // A node-cache that we replace holds its port until it exits.
            let endpoints = http_endpoints::endpoints(self.context, &self.config.settings);
            let settings = &self.config.settings;
            let rebound = self.http.rebind(endpoints).await;
            rebound.map_err(|error| http_endpoints::located(settings, error))?;
        }
        self.config.log_due_errors(self.context.logger);
        self.start_check.proceed(self.context, &self.config.settings);
        if !self.node.link_is_in_place() {
            self.check_node().await;
        }
        Ok(())
    }

    /// Restores what is missing on the node. No reply of the kernel is waited for: it is queued when
    /// the request returns.
    pub(super) async fn check_node(&mut self) {
        // A successor may be setting up the node as it needs it; the two must not undo each other's
        // work.
        if !self.handover.offer_is_pending() {
            self.node.repair().await;
        }
        self.update_fail_open().await;
        self.node.check_link().await;
        self.readiness.set_link_in_place(self.node.link_is_in_place());
    }

    /// Sends heartbeats for the addresses that have fail-open rules, and counts what the rules do.
    pub(super) async fn update_fail_open(&mut self) {
        let (rules, config) = (&self.context.counters.fail_open, self.node.filter_config());
        if !rules.has(config) {
            rules.set(config.cloned().zip(self.node.count_reader().await));
            if let Some(config) = config {
                info!("fail-open: {}", fail_open::description(&config.addresses));
            }
        }
        self.workers.set_heartbeat_addresses(self.node.heartbeat_addresses());
    }

    /// Handles changes that were not watched: before start-up, or while a successor was active.
    pub(super) async fn repair_missed_changes(&mut self) {
        self.check_node().await;
        if self.handover.missed_exit() {
            self.remove_predecessor().await;
        }
    }

    /// The predecessor has exited: removes the addresses that only it served.
    pub(super) async fn remove_predecessor(&mut self) {
        let addresses = self.handover.forget_predecessor();
        self.node.remove_addresses(addresses).await;
    }
}
