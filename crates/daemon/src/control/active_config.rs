//! The configuration in force: Corefile, settings, loop detection, error log.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use corefile::Corefile;
use corefile::settings::Settings;
use resolver::cache::{ImportTarget, Usage};
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

    /// The cache usages of the server blocks whose entries are of use.
    pub(super) fn usages(&self) -> Vec<Arc<Usage>> {
        self.builder.usages()
    }

    /// Puts prepared settings in force: logs the errors that the previous settings' `errors`
    /// directives had only counted, starts loop detection, publishes plugins and upstreams in the
    /// metrics, and applies `debug`.
    pub(super) fn commit(&mut self, settings: Settings, prepared: WorkerConfigs, logger: &Logger) {
        self.log_pending_errors(logger);
        self.loop_detectors.start(prepared.loop_detections, prepared.zones);
        self.builder.put_in_force(&settings, prepared.active_blocks);
        self.error_log = prepared.error_log;
        logger.set_debug(settings.debug);
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

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use corefile::Environment;
    use tokio::sync::mpsc;
    use tracing::Level;

    use super::*;
    use crate::flags;
    use crate::host::OsHost;

    fn load(text: &str) -> (Corefile, Settings) {
        let path = std::env::temp_dir().join(format!("nodelocaldns-debug-{}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        let args = ["nodelocaldns", "-localip", "169.254.25.10", "-conf"].map(Into::into);
        let options = flags::parse(args.into_iter().chain([path.clone().into_os_string()])).unwrap().options;
        let corefile = Corefile::parse(&options, &Environment::default(), &OsHost::default()).unwrap();
        std::fs::remove_file(path).unwrap();
        let settings = corefile.build_settings(&options, &OsHost::default()).unwrap();
        (corefile, settings)
    }

    #[test]
    fn debug_lines_are_logged_while_a_block_in_force_has_the_directive() {
        let (lines, written) = UnixStream::pair().unwrap();
        let logger = Logger::start(written, 8, Arc::default()).unwrap();
        let builder = WorkerConfigBuilder::new(Arc::default(), 1);
        let detectors = LoopDetectors::new(mpsc::channel(1).1);
        let (corefile, settings) = load(".:53 {\n bind 169.254.25.10\n}\n");
        let mut config = ActiveConfig::new(corefile, settings, builder, detectors);
        for (step, directives) in ["errors", "debug", "errors"].into_iter().enumerate() {
            let (_, settings) = load(&format!(".:53 {{\n bind 169.254.25.10\n {directives}\n}}\n"));
            let prepared = config.prepare(&settings).unwrap();
            config.commit(settings, prepared, &logger);
            logger.log(Level::DEBUG, step);
        }
        assert!(logger.flush(Duration::from_secs(10)));
        lines.set_nonblocking(true).unwrap();
        let logged: Vec<String> = BufReader::new(lines).lines().map_while(Result::ok).collect();
        assert_eq!(logged, ["[DEBUG] 1"]);
    }
}
