//! Reload: prepares another configuration, which may fail, and puts it in force, which may not.

use corefile::KnownFiles;
use corefile::settings::Settings;
use tracing::{error, info, warn};

use super::Instance;
use crate::clock;
use crate::control::context::ProcessContext;
use crate::control::exit::FatalError;
use crate::control::fail_open;
use crate::control::file_contents::FileContentWatch;
use crate::control::reload::{CorefileWatch, count_failure, reload_failed, reload_succeeded};
use crate::control::upstream_files::UpstreamFileWatch;
use crate::control::{http_endpoints, listen_addresses, upstreams_log};
use crate::host::OsHost;
use crate::snapshot;
use crate::worker::InheritedSockets;

impl Instance<'_> {
    /// Reads the Corefile and puts it in force if it has changed, or in any case if `forced`.
    pub(super) async fn reload(&mut self, watch: &mut CorefileWatch<'_>, forced: bool) {
        let Some((corefile, settings)) = watch.read(self.context, forced) else { return };
        let logged = self.config.settings.warnings.clone();
        match self.reconfigure(settings).await {
            Ok(()) => {
                self.config.corefile = corefile;
                self.publish_configuration();
                reload_succeeded(self.context);
                self.log_warnings(&logged);
                info!("plugin/reload: Running configuration SHA512 = {}", self.config.settings.hash);
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
        let Some(upstreams) = watch.check(&settings.files.upstreams, &settings.listeners) else { return };
        let files = KnownFiles { upstreams, ..settings.files.clone() };
        self.reconfigure_with(files, "plugin/forward: the upstreams stay as they were").await;
    }

    /// Puts entries in force that the files of `hosts` and `loadbalance` directives have anew, with the
    /// same Corefile.
    pub(super) async fn check_file_contents(&mut self, watch: &mut FileContentWatch) {
        let (settings, modified) = (&self.config.settings, &self.context.counters.hosts_modified);
        let Some(contents) = watch.check(clock::now(), settings, modified) else { return };
        let files = KnownFiles { contents, ..settings.files.clone() };
        self.reconfigure_with(files, "the entries of files stay as they were").await;
    }

    /// Puts the same Corefile in force with other content of files; `unchanged` begins the line
    /// about a failure.
    async fn reconfigure_with(&mut self, files: KnownFiles, unchanged: &str) {
        let logged = self.config.settings.warnings.clone();
        let options = &self.context.flags.options;
        let changed = match self.config.corefile.build_settings_with(files, options, &OsHost::default()) {
            Ok(settings) => self.reconfigure(settings).await,
            Err(error) => Err(FatalError::Config(error)),
        };
        match changed {
            Ok(()) => {
                self.publish_configuration();
                reload_succeeded(self.context);
                self.log_warnings(&logged);
                info!("Reloading complete");
            }
            Err(reason) => {
                error!("{unchanged}: {reason}");
                count_failure(self.context, &reason);
            }
        }
    }

    /// Logs the warnings of the settings in force that are not among those `logged` before.
    fn log_warnings(&self, logged: &[String]) {
        for warning in self.config.settings.warnings.iter().filter(|warning| !logged.contains(warning)) {
            warn!("{warning}");
        }
    }

    /// Puts `settings` in force: everything that may fail is prepared first, and changes nothing;
    /// then nothing fails any more.
    ///
    /// # Errors
    /// The configuration cannot be put in force; then nothing has changed.
    async fn reconfigure(&mut self, settings: Settings) -> Result<(), FatalError> {
        let options = &self.context.flags.options;
        listen_addresses::check(&settings, Some(&self.config.settings), options)?;
        let listeners = self.config.listeners(&settings)?;
        let ready = self.workers.ready().await?;
        let http = self
            .http
            .prepare(http_endpoints::endpoints(self.context, &settings))
            .await
            .map_err(|error| http_endpoints::located(&settings, error))?;
        let sockets = self
            .workers
            .open(ready, &listeners, &mut InheritedSockets::default())
            .map_err(|error| listen_addresses::located(&settings, error))?;
        let mut prepared = self.config.prepare(&settings)?;

        let configs = std::mem::take(&mut prepared.workers);
        let changed = self.workers.commit(sockets, configs.into_iter().map(Some));
        self.http.commit(http);
        self.cache.set_blocks(snapshot::blocks(&self.config.import_targets(&settings)));
        for address in listen_addresses::removed(&self.config.settings, &settings, options) {
            warn!("plugin/bind: {address} is not served any more: pods that use it have no DNS");
        }
        let logged = upstreams_log::lines(&self.config.settings);
        for upstreams in upstreams_log::lines(&settings).iter().filter(|line| !logged.contains(line)) {
            info!("{upstreams}");
        }
        self.set_fail_open(&settings).await;
        self.config.commit(settings, prepared, self.context.logger);
        changed.wait().await;
        self.cache.remove_other_blocks(&self.config.usages()).await;
        self.readiness.check_listeners(&self.config.settings.listeners);
        Ok(())
    }

    /// Has the packet filter send queries to the upstream of this configuration while no instance
    /// answers them.
    async fn set_fail_open(&mut self, settings: &Settings) {
        let ProcessContext { flags, environment, translation, .. } = self.context;
        let addresses = fail_open::addresses(flags, environment, settings, translation.early());
        self.node.set_filtered_addresses(addresses).await;
        self.update_fail_open().await;
    }

    /// Follows kube-proxy and the network plugin, which may start after this process.
    pub(super) async fn check_service_translation(&mut self) {
        // A successor may be setting up the node as it needs it.
        if self.handover.offer_is_pending() {
            return;
        }
        if self.context.translation.update(self.context.netlink, self.context.flags).await {
            let settings = self.config.settings.clone();
            self.set_fail_open(&settings).await;
        }
    }
}
