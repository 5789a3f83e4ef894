//! A `tracing` layer that logs events: the message, then the fields as `name=value`.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::logger::Logger;

/// The crates whose `[DEBUG]` events are logged.
const OWN_CRATES: [&str; 4] = ["daemon", "linux", "resolver", "nodelocaldns"];

/// A subscriber that logs through `logger`; `[DEBUG]` only for events of this project's crates.
pub fn subscriber(logger: &Logger) -> impl Subscriber + Send + Sync + use<> {
    tracing_subscriber::registry().with(LogLayer { logger: logger.clone() })
}

struct LogLayer {
    logger: Logger,
}

fn is_logged(metadata: &Metadata<'_>) -> bool {
    let is_own = || OWN_CRATES.contains(&metadata.target().split("::").next().unwrap_or_default());
    metadata.is_event()
        && (*metadata.level() <= Level::INFO || (*metadata.level() == Level::DEBUG && is_own()))
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_logged(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        is_logged(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = EventText::default();
        event.record(&mut text);
        self.logger.log(*event.metadata().level(), format_args!("{}{}", text.message, text.fields));
    }
}

/// An event's message and its other fields, each with a space before it.
#[derive(Default)]
struct EventText {
    message: String,
    fields: String,
}

impl EventText {
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

impl Visit for EventText {
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
