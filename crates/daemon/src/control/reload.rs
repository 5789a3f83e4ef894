//! Watch over the Corefile: when it is read again, and whether its text has changed.

use std::time::{Duration, Instant};

use corefile::options::STDIN;
use corefile::settings::{Reload, Settings};
use corefile::{ConfigErrors, Corefile};
use linux::file_events::FileMonitor;
use tokio::time;
use tracing::{error, info, warn};

use super::context::ProcessContext;
use crate::clock;
use crate::flags::Flags;
use crate::host::OsHost;
use crate::metrics::{LastReload, SetupError};

/// How often a template, and the ConfigMap of kube-dns with it, is read at least, as in node-cache.
const TEMPLATE_INTERVAL: Duration = Duration::from_secs(10);

/// A Corefile is read again if a file of it may have changed before it was monitored, so often at most.
const MAX_READINGS: u32 = 4;

pub(super) struct CorefileWatch<'a> {
    /// When the Corefile is read next.
    next: Option<Instant>,
    interval: Option<Duration>,
    source: Source,
    /// Hash of the text that was read last.
    last_hash: String,
    /// Why the last text could not be read; each reason is logged once.
    last_error: Option<String>,
    /// Of the files read last.
    monitor: Option<&'a FileMonitor>,
}

impl<'a> CorefileWatch<'a> {
    pub(super) fn new(settings: &Settings, context: ProcessContext<'a>) -> Self {
        let last_hash = settings.hash.clone();
        let source = Source::of(settings, context.flags);
        let mut watch = Self {
            next: None,
            interval: None,
            source,
            last_hash,
            last_error: None,
            monitor: context.file_monitor,
        };
        watch.set_interval(settings, context.flags);
        // The first reading finds the files to monitor, and what has changed since the start.
        watch.next = watch.interval.map(|_| clock::now());
        watch
    }

    /// Whether files have changed, or others beside them, since they were read; never without a
    /// `reload` directive or `-reloadwithsignal`.
    pub(super) fn files_have_changed(&self) -> bool {
        let changed = self.monitor.is_some_and(FileMonitor::has_changed);
        changed && self.interval.is_some()
    }

    fn parse(&mut self, context: ProcessContext<'_>) -> Result<Corefile, ConfigErrors> {
        let mut readings = 0;
        loop {
            let host = OsHost::default();
            let parsed = Corefile::parse(&context.flags.options, context.environment, &host);
            readings += 1;
            let may_have_changed = self.monitor.is_some_and(|monitor| monitor.watch(&host.into_paths()));
            if !may_have_changed || readings == MAX_READINGS {
                return parsed;
            }
        }
    }

    /// Applies the `reload` directive of `settings`; the jitter is drawn once per configuration.
    pub(super) fn set_interval(&mut self, settings: &Settings, flags: &Flags) {
        let source = Source::of(settings, flags);
        self.source = source;
        let by_directive = settings.reload.map(|reload| interval(reload, source, rand::random::<f64>()));
        let interval = by_directive.or_else(|| flags.reload_with_signal.then_some(TEMPLATE_INTERVAL));
        self.interval = interval.filter(|_| source != Source::Stdin);
        self.next = self.interval.map(|interval| clock::now() + interval);
    }

    /// Resolves when the Corefile is to be read.
    pub(super) async fn due(&self) {
        match self.next {
            Some(next) => time::sleep_until(next.into()).await,
            None => std::future::pending().await,
        }
    }

    /// Reads the Corefile; returns it with its settings if the text has changed and is valid. With
    /// `forced`, on a signal, an unchanged text counts as well.
    pub(super) fn read(&mut self, context: ProcessContext<'_>, forced: bool) -> Option<(Corefile, Settings)> {
        self.next = self.interval.map(|interval| clock::now() + interval);
        let corefile = match self.parse(context) {
            Ok(corefile) => corefile,
            Err(error) => {
                let reason = error.to_string();
                if forced || self.last_error.as_ref() != Some(&reason) {
                    reload_failed(context, &reason);
                    if self.source == Source::Template {
                        context.counters.setup_error(SetupError::Configmap);
                    }
                }
                self.last_error = Some(reason);
                return None;
            }
        };
        self.last_error = None;
        if corefile.hash() == self.last_hash && !forced {
            return None;
        }
        info!("Reloading");
        corefile.hash().clone_into(&mut self.last_hash);
        match corefile.build_settings(&context.flags.options, &OsHost::default()) {
            Ok(settings) => Some((corefile, settings)),
            Err(error) => {
                reload_failed(context, &error);
                None
            }
        }
    }
}

/// Where the Corefile is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// Cannot be read again.
    Stdin,
    Template,
    /// A file, or built in.
    Corefile,
}

impl Source {
    fn of(settings: &Settings, flags: &Flags) -> Self {
        match &*settings.source {
            STDIN => Self::Stdin,
            source if *source == *flags.options.base_corefile => Self::Template,
            _ => Self::Corefile,
        }
    }
}

/// The interval of the `reload` directive; `random` is 0 to 1.
fn interval(reload: Reload, source: Source, random: f64) -> Duration {
    let earliest = reload.interval.saturating_sub(reload.jitter / 2);
    let interval = earliest + reload.jitter.mul_f64(random);
    if source == Source::Template { interval.min(TEMPLATE_INTERVAL) } else { interval }
}

/// Absent if the kernel refuses; then files are read at the interval of `reload` only.
pub(super) fn file_monitor() -> Option<FileMonitor> {
    FileMonitor::new()
        .inspect_err(|error| warn!("inotify: {error}; changes are noticed by reading the files"))
        .ok()
}

/// Logs and counts an invalid configuration, which is not put in force.
pub(super) fn reload_failed(context: ProcessContext<'_>, reason: &dyn std::fmt::Display) {
    error!("plugin/reload: Corefile changed but reload failed: {reason}");
    count_failure(context, reason);
}

/// Counts a reload that failed.
pub(super) fn count_failure(context: ProcessContext<'_>, reason: &dyn std::fmt::Display) {
    let failure = Some(reason.to_string());
    context.counters.reloads.failed.inc();
    context.counters.reloads.set_last(LastReload { unix_time: clock::unix_time(), failure });
}

/// Records a reload that succeeded.
pub(super) fn reload_succeeded(context: ProcessContext<'_>) {
    context.counters.reloads.set_last(LastReload { unix_time: clock::unix_time(), failure: None });
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn every(seconds: u64, jitter: u64) -> Reload {
        Reload { interval: Duration::from_secs(seconds), jitter: Duration::from_secs(jitter) }
    }

    #[test]
    fn the_interval_of_reload_has_a_jitter_to_both_sides() {
        for (random, seconds) in [(0.0, 23), (0.5, 30), (1.0, 37)] {
            assert_eq!(interval(every(30, 14), Source::Corefile, random), Duration::from_secs(seconds));
        }
    }

    #[test]
    fn a_template_is_read_every_ten_seconds_at_least() {
        for random in [0.0, 0.5, 1.0] {
            assert_eq!(interval(every(30, 15), Source::Template, random), Duration::from_secs(10));
        }
        assert_eq!(interval(every(2, 0), Source::Template, 0.5), Duration::from_secs(2));
    }
}
