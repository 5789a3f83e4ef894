//! ```text
//! reload [INTERVAL [JITTER]]
//! ```
//!
//! The Corefile and its imports are read every INTERVAL (30s by default, 2s or more), and applied
//! when they have changed. Each process shifts its INTERVAL by a random part of JITTER (15s by
//! default, at most half of INTERVAL, 0 for none, else 1s or more), so that the nodes of a cluster
//! do not reload at once.

use std::time::Duration;

use crate::error::ConfigError;
use crate::settings::Reload;
use crate::tree::Directive;
use crate::values::duration;

const MIN_INTERVAL: Duration = Duration::from_secs(2);
const MIN_JITTER: Duration = Duration::from_secs(1);

pub(super) fn parse(directive: &Directive) -> Result<Reload, ConfigError> {
    let arguments = directive.line.arguments(0, 2)?;
    directive.no_options()?;
    let mut interval = Duration::from_secs(30);
    let mut jitter = Duration::from_secs(15);
    if let Some(argument) = arguments.first() {
        interval = duration(argument)?;
        if interval < MIN_INTERVAL {
            return Err(ConfigError::at(argument, "interval value must be greater or equal to 2s"));
        }
    }
    if let Some(argument) = arguments.get(1) {
        jitter = duration(argument)?;
        if !jitter.is_zero() && jitter < MIN_JITTER {
            return Err(ConfigError::at(argument, "jitter value must be 0 or greater or equal to 1s"));
        }
    }
    Ok(Reload { interval, jitter: jitter.min(interval / 2) })
}
