//! `CONFIG forward`: the directive and its options.

use resolver::policy::{
    ForwardOptions, HealthCheck, MaxConnectAttempts, PoolOptions, SelectionPolicy, TransportPreference,
};
use wire::header::Rcode;
use wire::name::Name;

use super::super::tokens::{duration, number, parse_zones, zone};
use crate::text::{self, TextError, error};

/// A `forward` directive.
#[derive(Clone, Debug)]
pub struct Forward {
    /// Its options; `sequential`, `force_tcp` and no health checks by default.
    pub options: ForwardOptions,
    /// Its options about connections.
    pub pool: PoolOptions,
    /// Names of upstreams; `tls://NAME` is reached over TLS.
    pub upstreams: Vec<String>,
}

impl Forward {
    pub(super) fn new(from: Name, upstreams: Vec<String>) -> Self {
        let options = ForwardOptions {
            policy: SelectionPolicy::Sequential,
            transport: TransportPreference::ForceTcp,
            health_check: HealthCheck { max_fails: 0, ..HealthCheck::default() },
            ..ForwardOptions::new(from)
        };
        Self { options, pool: PoolOptions::default(), upstreams }
    }
}

/// Parses an option of the last `forward`.
pub(super) fn parse_option(tokens: &[&str], forward: &mut Forward) -> Result<(), TextError> {
    let Forward { options, pool, .. } = forward;
    match *tokens {
        ["except", ref zones @ ..] => options.except = parse_zones(zones)?,
        ["policy", "random"] => options.policy = SelectionPolicy::Random,
        ["policy", "round_robin"] => options.policy = SelectionPolicy::RoundRobin,
        ["policy", "sequential"] => options.policy = SelectionPolicy::Sequential,
        ["force_tcp"] => options.transport = TransportPreference::ForceTcp,
        ["prefer_udp"] => options.transport = TransportPreference::PreferUdp,
        ["as_client"] => options.transport = TransportPreference::SameAsClient,
        ["max_concurrent", limit] => options.max_concurrent = number(limit)?,
        ["read_timeout", time] => options.read_timeout = duration(time)?,
        ["max_connect_attempts", "0"] => options.max_connect_attempts = MaxConnectAttempts::Unlimited,
        ["max_connect_attempts", most] => {
            options.max_connect_attempts = MaxConnectAttempts::Limit(number(most)?)
        }
        ["expire", time] => pool.idle_timeout = duration(time)?,
        ["max_age", time] => pool.max_age = Some(duration(time)?),
        ["max_idle_conns", most] => pool.max_idle = Some(number(most)?),
        ["max_fails", most] => options.health_check.max_fails = number(most)?,
        ["health_check", interval, ref rest @ ..] => {
            options.health_check.interval = duration(interval)?;
            return parse_health_check(rest, &mut options.health_check);
        }
        ["failfast_all_unhealthy_upstreams"] => options.health_check.failfast = true,
        ["failover", ref rcodes @ ..] => options.failover = parse_rcodes(rcodes)?,
        ["next", ref rcodes @ ..] => options.next = parse_rcodes(rcodes)?,
        ["next_on_nodata"] => options.next_on_nodata = true,
        _ => return error(format!("`{}` is not a directive", tokens.join(" "))),
    }
    Ok(())
}

fn parse_health_check(options: &[&str], health: &mut HealthCheck) -> Result<(), TextError> {
    match *options {
        [] => Ok(()),
        ["no_rec", ref rest @ ..] => {
            health.recursion_desired = false;
            parse_health_check(rest, health)
        }
        ["domain", name, ref rest @ ..] => {
            health.name = zone(name)?;
            parse_health_check(rest, health)
        }
        _ => error(format!("`{}` is not an option of `health_check`", options.join(" "))),
    }
}

fn parse_rcodes(tokens: &[&str]) -> Result<Vec<Rcode>, TextError> {
    tokens.iter().map(|word| text::rcode(word).map(Rcode)).collect()
}
