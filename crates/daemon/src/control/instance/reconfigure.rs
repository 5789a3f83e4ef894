//! Reload: puts another configuration in force, all of it or nothing.

use corefile::settings::Settings;
use tracing::{error, info, warn};

use super::Instance;
use crate::control::exit::FatalError;
use crate::control::http_endpoints;
use crate::control::reload::{CorefileWatch, reload_failed};
use crate::control::upstream_files::UpstreamFileWatch;
use crate::host::OsHost;
use crate::snapshot;
use crate::worker::InheritedSockets;

impl Instance<'_> {
    /// Reads the Corefile and puts it in force if it has changed, or in any case if `forced`.
    pub(super) async fn reload(&mut self, watch: &mut CorefileWatch, forced: bool) {
        let Some((corefile, settings)) = watch.read(self.context, forced) else { return };
        let logged = self.config.settings.warnings.clone();
        match self.reconfigure(settings).await {
            Ok(()) => {
                self.config.corefile = corefile;
                for warning in
                    self.config.settings.warnings.iter().filter(|warning| !logged.contains(warning))
                {
                    warn!("{warning}");
                }
                info!("Reloading complete");
            }
            Err(error) => reload_failed(self.context, &error),
        }
        watch.set_interval(&self.config.settings, self.context.flags);
        self.context.counters.reloads.attempted(&self.config.settings.hash);
    }

    /// Puts upstreams in force that the files of `forward` directives list anew, with the same
    /// Corefile.
    pub(super) async fn check_upstream_files(&mut self, watch: &mut UpstreamFileWatch) {
        let settings = &self.config.settings;
        let Some(files) = watch.check(&settings.upstream_files, &settings.listeners) else { return };
        let options = &self.context.flags.options;
        let changed = match self.config.corefile.build_settings_with(files, options, &OsHost) {
            Ok(settings) => self.reconfigure(settings).await,
            Err(error) => Err(FatalError::Config(error)),
        };
        match changed {
            Ok(()) => info!("Reloading complete"),
            Err(reason) => {
                error!("plugin/forward: the upstreams stay as they were: {reason}");
                self.context.counters.reloads.failed.inc();
            }
        }
    }

    /// Puts `settings` in force.
    ///
    /// # Errors
    /// The configuration cannot be put in force; then nothing has changed.
    async fn reconfigure(&mut self, settings: Settings) -> Result<(), FatalError> {
        let mut prepared = self.config.prepare(&settings)?;
        let configs = std::mem::take(&mut prepared.workers);
        let blocks = snapshot::blocks(&self.config.import_targets(&settings));
        let change = self.workers.prepare(
            &prepared.listeners,
            self.workers.len(),
            &mut InheritedSockets::default(),
        )?;
        if let Err(error) = self.http.rebind(&http_endpoints::endpoints(self.context, &settings)) {
            self.workers.discard(&change);
            return Err(FatalError::Http(error));
        }

        self.workers.apply(change, configs.into_iter().map(Some)).await?;
        self.config.commit(settings, prepared, self.context.logger);
        self.cache.set_blocks(blocks);
        self.readiness.check_listeners(&self.config.settings.listeners);
        Ok(())
    }
}
