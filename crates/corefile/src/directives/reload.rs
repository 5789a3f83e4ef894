//! ```text
//! reload [INTERVAL [JITTER]]
//! ```
//!
//! The Corefile and what it imports are read again every INTERVAL (30s if not given, 2s at least), and obeyed
//! if they changed. Each process shifts its INTERVAL by a random part of JITTER (15s if not given, at most
//! half of INTERVAL, 0 for none, else 1s at least) so that the nodes of a cluster do not change at once.

use std::time::Duration;

use super::{duration, no_options};
use crate::error::ConfigError;
use crate::settings::Reload;
use crate::tree::Directive;

const MIN_INTERVAL: Duration = Duration::from_secs(2);
const MIN_JITTER: Duration = Duration::from_secs(1);

pub(super) fn read(directive: &Directive) -> Result<Reload, ConfigError> {
    let words = directive.head.arguments(0, 2)?;
    no_options(directive)?;
    let mut interval = Duration::from_secs(30);
    let mut jitter = Duration::from_secs(15);
    if let Some(word) = words.first() {
        interval = duration(word)?;
        if interval < MIN_INTERVAL {
            return Err(ConfigError::at(word, "interval value must be greater or equal to 2s"));
        }
    }
    if let Some(word) = words.get(1) {
        jitter = duration(word)?;
        if !jitter.is_zero() && jitter < MIN_JITTER {
            return Err(ConfigError::at(word, "jitter value must be 0 or greater or equal to 1s"));
        }
    }
    Ok(Reload { interval, jitter: jitter.min(interval / 2) })
}
