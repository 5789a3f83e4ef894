//! Command-line flags: node-cache's under their names, and a few of our own.
//!
//! [`parse`] rewrites Go's syntax (`go_syntax`), lets clap parse it (`command_line`) and
//! returns the validated [`Flags`].

mod check;
mod command_line;
mod doctor;
mod effective;
mod error;
mod go_syntax;
mod inspect;
mod sleep;
mod subcommand;
mod uninstall;
mod validated;
mod values;
mod watch;

use std::ffi::OsString;

pub use check::CheckFlags;
pub(crate) use check::parse as parse_check;
pub use doctor::DoctorFlags;
pub(crate) use doctor::parse as parse_doctor;
pub use error::UsageError;
pub use inspect::{CacheAction, CacheFlags, DumpFlags, InspectFlags, QueryFlags};
pub(crate) use inspect::{parse_cache, parse_config, parse_dump, parse_query, parse_status};
pub(crate) use sleep::parse as parse_sleep;
pub(crate) use subcommand::Subcommand;
pub use uninstall::UninstallFlags;
pub(crate) use uninstall::parse as parse_uninstall;
pub use validated::Flags;
pub use watch::{TopFlags, TraceFlags};
pub(crate) use watch::{parse_top, parse_trace};

/// Parses the command line, whose first word is the program's name.
///
/// # Errors
/// [`UsageError`]: the command line is wrong, or requests a text such as the help.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Flags, UsageError> {
    command_line::parse(args)
}
