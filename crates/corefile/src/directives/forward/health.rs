//! `max_fails`, `health_check` and `failfast_all_unhealthy_upstreams`: upstreams that fail.
//!
//! An upstream that failed is asked for the NS records of NAME, the root if not given, with RD unless `no_rec`
//! says otherwise, every DURATION, 500ms if not given, until it answers anything. It is down, and passed over,
//! after more than `max_fails` such questions without answer, 2 if not given; 0 asks none. With all upstreams
//! down one is tried all the same; with `failfast_all_unhealthy_upstreams` none is.

use std::time::Duration;

use resolver::policy::HealthCheck;
use wire::name::Name;

use super::super::duration_or;
use crate::error::ConfigError;
use crate::lexer::Token;
use crate::tree::Words;

/// CoreDNS asks without any pause when told 0.
const SHORTEST: Duration = Duration::from_millis(100);

pub(super) fn check(
    option: &Words,
    health: &mut HealthCheck,
    warnings: &mut Vec<String>,
) -> Result<(), ConfigError> {
    let [interval, rest @ ..] = option.arguments(1, usize::MAX)? else {
        return Err(ConfigError::argument(&option.name));
    };
    let negative = format!("health_check can't be negative: {}", interval.text);
    health.interval = duration_or(interval, &negative)?;
    if health.interval < SHORTEST {
        let (place, text) = (interval.place(), &interval.text);
        warnings.push(format!("{place} - health_check {text} is too short: it is {SHORTEST:?}"));
        health.interval = SHORTEST;
    }
    (health.recursion_desired, health.name) = (true, Name::root());
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        match &*word.text {
            "no_rec" => health.recursion_desired = false,
            "domain" => health.name = name(words.next().ok_or_else(|| ConfigError::argument(word))?)?,
            other => {
                return Err(ConfigError::at(word, format!("health_check: unknown option {other}")));
            }
        }
    }
    Ok(())
}

fn name(token: &Token) -> Result<Name, ConfigError> {
    let reason = || format!("health_check: invalid domain name {}", token.text);
    Name::parse(&token.text).map_err(|_| ConfigError::at(token, reason()))
}
