//! `max_fails`, `health_check` and `failfast_all_unhealthy_upstreams` of `forward`.
//!
//! An upstream that failed is queried with an NS query for NAME (the root by default), with RD
//! unless `no_rec` is given, every DURATION (500ms by default), until it responds. It is down, and
//! not used, after more than `max_fails` failed queries (2 by default; 0 disables them). With all
//! upstreams down one of them is tried nevertheless, or none with
//! `failfast_all_unhealthy_upstreams`.

use std::time::Duration;

use resolver::policy::HealthCheck;
use wire::name::Name;

use crate::error::ConfigError;
use crate::token::Token;
use crate::tree::Line;
use crate::values::duration_or;

/// CoreDNS queries without a pause when given 0.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// Parses `health_check`; the last of several counts.
pub(super) fn parse(
    option: &Line,
    health: &mut HealthCheck,
    warnings: &mut Vec<String>,
) -> Result<(), ConfigError> {
    let [interval, rest @ ..] = option.arguments(1, usize::MAX)? else {
        return Err(ConfigError::argument_count(&option.name));
    };
    let negative = format!("health_check can't be negative: {}", interval.text);
    health.interval = duration_or(interval, &negative)?;
    if health.interval < MIN_INTERVAL {
        let (location, text) = (interval.location(), &interval.text);
        warnings
            .push(format!("{location} - health_check {text} is too short: {MIN_INTERVAL:?} is used instead"));
        health.interval = MIN_INTERVAL;
    }
    (health.recursion_desired, health.name) = (true, Name::root());
    let mut arguments = rest.iter();
    while let Some(argument) = arguments.next() {
        match &*argument.text {
            "no_rec" => health.recursion_desired = false,
            "domain" => {
                let name = arguments.next().ok_or_else(|| ConfigError::argument_count(argument))?;
                health.name = parse_name(name)?;
            }
            other => {
                return Err(ConfigError::at(argument, format!("health_check: unknown option {other}")));
            }
        }
    }
    Ok(())
}

fn parse_name(token: &Token) -> Result<Name, ConfigError> {
    let reason = || format!("health_check: invalid domain name {}", token.text);
    Name::parse(&token.text).map_err(|_| ConfigError::at(token, reason()))
}
