//! Events of `tracing` as lines.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::Logger;

/// The crates whose `[DEBUG]` events an operator can do something with.
const OURS: [&str; 4] = ["daemon", "linux", "resolver", "nodelocaldns"];

/// Hands events to the logger.
pub(super) struct Events {
    logger: Logger,
}

impl Events {
    pub(super) fn new(logger: Logger) -> Self {
        Self { logger }
    }
}

fn is_shown(metadata: &Metadata<'_>) -> bool {
    let ours = || OURS.contains(&metadata.target().split("::").next().unwrap_or_default());
    metadata.is_event() && (*metadata.level() <= Level::INFO || (*metadata.level() == Level::DEBUG && ours()))
}

impl<S: Subscriber> Layer<S> for Events {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_shown(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        is_shown(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut said = Said::default();
        event.record(&mut said);
        self.logger.log(*event.metadata().level(), format_args!("{}{}", said.message, said.fields));
    }
}

/// An event's message and its other fields, each with a space before it.
#[derive(Default)]
struct Said {
    message: String,
    fields: String,
}

impl Said {
    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let written = if field.name() == "message" {
            self.message.write_fmt(value)
        } else {
            write!(self.fields, " {}={value}", field.name())
        };
        if written.is_err() {
            self.fields.push_str(" (cut)");
        }
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() != "message" && (value.is_empty() || value.contains([' ', '"', '='])) {
            self.add(field, format_args!("{value:?}"));
        } else {
            self.add(field, format_args!("{value}"));
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.record_str(field, &value.to_string());
    }
}
