//! The watch over the Corefile.

use std::time::{Duration, Instant};

use tokio::time;
use tracing::{error, info};

use super::ProcessContext;
use crate::clock;
use crate::flags::Flags;
use crate::host::OsHost;
use corefile::Corefile;
use corefile::settings::Settings;

/// How often the template is looked at under `-reloadwithsignal`, as node-cache does.
const TEMPLATE_INTERVAL: Duration = Duration::from_secs(10);

/// When to look, and what was seen last.
pub(super) struct CorefileWatch {
    next: Option<Instant>,
    interval: Option<Duration>,
    seen: String,
    /// Why the last text could not be read, so that it is told once.
    unreadable: Option<String>,
}

impl CorefileWatch {
    /// A watch as the `reload` directive of `settings` wants it.
    pub(super) fn new(settings: &Settings, flags: &Flags) -> Self {
        let mut watch = Self { next: None, interval: None, seen: settings.hash.clone(), unreadable: None };
        watch.settle(settings, flags);
        watch
    }

    /// Goes by the directives of `settings` from now on; what was seen stays seen.
    pub(super) fn settle(&mut self, settings: &Settings, flags: &Flags) {
        let by_directive = settings.reload.map(|reload| {
            let earliest = reload.interval.saturating_sub(reload.jitter / 2);
            earliest + reload.jitter.mul_f64(rand::random::<f64>())
        });
        self.interval = by_directive.or_else(|| flags.reload_with_signal.then_some(TEMPLATE_INTERVAL));
        self.next = self.interval.map(|interval| clock::now() + interval);
    }

    /// Resolves when it is time to look.
    pub(super) async fn due(&self) {
        match self.next {
            Some(next) => time::sleep_until(next.into()).await,
            None => std::future::pending().await,
        }
    }

    /// The Corefile and what it comes to, if it has been edited since the last look and can be read. `asked` by signal, it is taken
    /// edited or not.
    pub(super) fn look(&mut self, context: ProcessContext<'_>, asked: bool) -> Option<(Corefile, Settings)> {
        self.next = self.interval.map(|interval| clock::now() + interval);
        let corefile = match Corefile::parse(&context.flags.options, context.environment, &OsHost) {
            Ok(corefile) => corefile,
            Err(error) => {
                let reason = error.to_string();
                if asked || self.unreadable.as_ref() != Some(&reason) {
                    failed(context, &reason);
                }
                self.unreadable = Some(reason);
                return None;
            }
        };
        self.unreadable = None;
        if corefile.hash() == self.seen && !asked {
            return None;
        }
        info!("Reloading");
        corefile.hash().clone_into(&mut self.seen);
        match corefile.build_settings(&context.flags.options, &OsHost) {
            Ok(settings) => Some((corefile, settings)),
            Err(error) => {
                failed(context, &error);
                None
            }
        }
    }
}

/// Tells and counts an edit that is not obeyed.
pub(super) fn failed(context: ProcessContext<'_>, reason: &dyn std::fmt::Display) {
    error!("plugin/reload: Corefile changed but reload failed: {reason}");
    context.process.reloads.failed.inc();
}
