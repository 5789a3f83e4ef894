//! Logging: lines on stdout in CoreDNS's form, `[INFO] ` and text, without a timestamp.
//!
//! `logger` is the queue and the writer thread, `tracing_layer` turns `tracing` events into lines,
//! [`query_log`] and [`errors`] are the `log` and `errors` directives.

pub mod errors;
mod fields;
mod format;
mod logger;
pub mod query_log;
mod response_class;
mod tracing_layer;

pub use self::logger::{Logger, QUEUE_LEN};
pub use self::tracing_layer::subscriber;
