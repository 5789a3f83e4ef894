//! Subcommands that look into the active instance through its control socket: each sends a request and
//! prints the replies, for people or as JSON.
//!
//! The instance may be of another version than the subcommand: a field that is absent is left out.

mod cache;
mod config;
mod dump;
mod hashed_names;
mod output;
mod query;
mod status;
mod table;
mod top;
mod trace;

use std::process::ExitCode;

use serde_json::Value;

pub(super) use self::cache::cache;
pub(super) use self::dump::dump;
use self::output::{NO_INSTANCE, Output};
pub(super) use self::query::query;
pub(super) use self::top::top;
pub(super) use self::trace::trace;
use crate::control_socket::{self, ClientError, Request};
use crate::flags::InspectFlags;

/// `nodelocaldns status`
pub(super) fn status(flags: &InspectFlags) -> ExitCode {
    single(flags, &Request::Status, status::text, status::is_well)
}

/// `nodelocaldns config`
pub(super) fn config(flags: &InspectFlags) -> ExitCode {
    single(flags, &Request::Config, config::text, |_| true)
}

/// Prints the only reply to a request; the exit code is 1 unless all `is_well`.
fn single(
    flags: &InspectFlags,
    request: &Request,
    text: impl Fn(&Value) -> String,
    is_well: impl Fn(&Value) -> bool,
) -> ExitCode {
    match control_socket::send(&flags.directory, request).and_then(control_socket::Replies::single) {
        Ok(reply) => {
            let printed = if flags.json { format!("{reply:#}\n") } else { text(&reply) };
            if Output::stdout().write(&printed) && is_well(&reply) {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => failed(&error),
    }
}

/// Reports why there is no reply.
fn failed(error: &ClientError) -> ExitCode {
    super::exit::print_error(error);
    match error {
        ClientError::Refused(_) => ExitCode::FAILURE,
        _ => ExitCode::from(NO_INSTANCE),
    }
}
