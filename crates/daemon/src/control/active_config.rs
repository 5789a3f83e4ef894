//! The configuration in force: Corefile, settings, loop detection, error log.

use std::collections::HashMap;
use std::net::SocketAddr;

use corefile::Corefile;
use corefile::settings::Settings;
use resolver::cache::ImportTarget;
use resolver::policy::ListenerId;

use super::exit::FatalError;
use super::loop_detection::LoopDetectors;
use crate::clock;
use crate::logging::Logger;
use crate::logging::errors::ErrorLog;
use crate::worker::config::{WorkerConfigBuilder, WorkerConfigs};

pub(super) struct ActiveConfig {
    /// The text that `settings` were built from.
    pub(super) corefile: Corefile,
    pub(super) settings: Settings,
    pub(super) loop_detectors: LoopDetectors,
    /// Builds the workers' configurations; keeps IDs over reloads.
    builder: WorkerConfigBuilder,
    error_log: ErrorLog,
}

impl ActiveConfig {
    /// `corefile` and `settings`, which are in force after [`commit`](Self::commit).
    pub(super) fn new(
        corefile: Corefile,
        settings: Settings,
        builder: WorkerConfigBuilder,
        loop_detectors: LoopDetectors,
    ) -> Self {
        Self { corefile, settings, loop_detectors, builder, error_log: ErrorLog::new() }
    }

    /// The listeners of `settings`, with their identifiers.
    pub(super) fn listeners(
        &mut self,
        settings: &Settings,
    ) -> Result<Vec<(ListenerId, Vec<SocketAddr>)>, FatalError> {
        self.builder.listeners(settings).map_err(FatalError::IdsExhausted)
    }

    /// Builds the workers' configurations from `settings`.
    pub(super) fn prepare(&mut self, settings: &Settings) -> Result<WorkerConfigs, FatalError> {
        self.builder.build(settings).map_err(FatalError::IdsExhausted)
    }

    /// Where cache entries of the server blocks in `settings` belong, by the blocks' fingerprints.
    pub(super) fn import_targets(&self, settings: &Settings) -> HashMap<String, ImportTarget> {
        self.builder.import_targets(settings)
    }

    /// Puts prepared settings in force: logs the errors that the previous settings' `errors`
    /// directives had only counted, starts loop detection, and publishes plugins and upstreams in
    /// the metrics.
    pub(super) fn commit(&mut self, settings: Settings, prepared: WorkerConfigs, logger: &Logger) {
        self.log_pending_errors(logger);
        self.loop_detectors.start(prepared.loop_detections, prepared.zones);
        self.builder.publish(&settings, prepared.active_blocks);
        self.error_log = prepared.error_log;
        self.settings = settings;
    }

    /// Logs consolidated errors whose interval has passed.
    pub(super) fn log_due_errors(&self, logger: &Logger) {
        for line in self.error_log.take_due(clock::now()) {
            logger.log(line.level, line.text);
        }
    }

    /// Logs all consolidated errors that were only counted so far.
    pub(super) fn log_pending_errors(&self, logger: &Logger) {
        for line in self.error_log.close() {
            logger.log(line.level, line.text);
        }
    }

    /// For [`contexts`](super::workers::contexts).
    pub(super) fn builder(&self) -> &WorkerConfigBuilder {
        &self.builder
    }
}
