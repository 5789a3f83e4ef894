//! ```text
//! forward FROM TO... {
//!     except ZONES...
//!     force_tcp
//!     prefer_udp
//!     policy random|round_robin|sequential
//!     max_concurrent NUMBER
//!     read_timeout DURATION
//!     expire DURATION
//!     max_age DURATION
//!     max_idle_conns NUMBER
//!     source_address IP
//!     tls [CERT KEY [CA] | CA]
//!     tls_servername NAME
//! }
//! ```
//!
//! Questions for names in FROM, but not in the zones of `except`, go to one of TO: an IP address, with a port
//! if it is not 53, or a file whose `nameserver` lines are taken. They travel as the client's did; with
//! `force_tcp` always over TCP, with `prefer_udp` over UDP first. `policy` says in which order upstreams are
//! tried, `random` if not given. More questions at once than `max_concurrent` are refused; 0, as if not
//! given, is no limit. `read_timeout`, 2s, is how long one attempt waits; `expire`, 10s, is how long an idle
//! connection is kept.
//!
//! No connection is used for longer than `max_age`, at least `expire`, nor less than three fifths of it; 0, as if not
//! given, is 75s. Of those that are idle, `max_idle_conns` are kept; 0, as if not given, is no limit, and each worker
//! keeps one at least. Questions leave from `source_address`.
//!
//! `tls://IP`, with `%NAME` and a port behind it if it is not 853, is reached by DNS over TLS (RFC 7858). It must prove
//! to be `tls_servername`, or else NAME, or else IP, by a certificate of an authority in the file CA, or else of one
//! that the machine knows; CERT and KEY are files that say who we are.

use std::time::Duration;

use resolver::policy::{AttemptRule, HealthPolicy, Order, TransportRule};
use wire::name::Name;

use super::super::error::ConfigError;
use super::super::keys;
use super::super::lexer::Token;
use super::super::settings::Forward;
use super::super::tree::{Directive, Words};
use super::{Surroundings, duration, integer, option_not_yet};

mod carriage;
mod tls;
mod upstreams;

/// Options of CoreDNS up to 1.15.0 that are not built.
const NOT_YET: [&str; 9] = [
    "doh_method",
    "failfast_all_unhealthy_upstreams",
    "failover",
    "health_check",
    "max_connect_attempts",
    "max_fails",
    "next",
    "next_on_nodata",
    "resolver",
];

pub(super) fn read(directive: &Directive, around: &mut Surroundings<'_>) -> Result<Forward, ConfigError> {
    let [from, to @ ..] = directive.head.args.as_slice() else {
        return Err(ConfigError::argument(&directive.head.name));
    };
    let Some(last) = to.last() else {
        return Err(ConfigError::argument(from));
    };
    let mut zones = keys::zones(from)?.into_iter();
    let zone = zones.next().ok_or_else(|| ConfigError::at(from, "FROM names no zone"))?;
    if zones.next().is_some() {
        around.warnings.push(format!(
            "{} - Unsupported CIDR notation: '{}' expands to multiple zones. Using only '{zone}'.",
            from.place(),
            from.text
        ));
    }
    let mut forward = Forward {
        from: zone,
        except: Vec::new(),
        upstreams: upstreams::read(to, last, around)?,
        order: Order::Random,
        transport: TransportRule::AsClient,
        max_concurrent: 0,
        read_timeout: Duration::from_secs(2),
        attempts: AttemptRule::default(),
        health: HealthPolicy {
            max_fails: 2,
            interval: Duration::from_millis(500),
            recursion_desired: true,
            name: Name::root(),
            failfast: false,
        },
        failover: Vec::new(),
        next: Vec::new(),
        next_on_nodata: false,
        carriage: carriage::unset(),
    };
    let mut carriage = carriage::Draft::new();
    for option in &directive.options {
        if !carriage.read_option(option)? {
            read_option(option, &mut forward)?;
        }
    }
    forward.carriage = carriage.settle(to, &forward.upstreams, around)?;
    Ok(forward)
}

fn read_option(option: &Words, forward: &mut Forward) -> Result<(), ConfigError> {
    match &*option.name.text {
        "except" => {
            for zone in option.arguments(1, usize::MAX)? {
                forward.except.extend(keys::zones(zone)?);
            }
        }
        "force_tcp" => {
            option.bare()?;
            forward.transport = TransportRule::ForceTcp;
        }
        "prefer_udp" => {
            option.bare()?;
            if forward.transport != TransportRule::ForceTcp {
                forward.transport = TransportRule::PreferUdp;
            }
        }
        "policy" => forward.order = policy(option.one()?)?,
        "max_concurrent" => {
            let token = option.one()?;
            let number = integer(token)?;
            let negative = || ConfigError::at(token, format!("max_concurrent can't be negative: {number}"));
            forward.max_concurrent = match number {
                ..0 => return Err(negative()),
                _ => u32::try_from(number).unwrap_or(u32::MAX),
            };
        }
        "read_timeout" => {
            let token = option.one()?;
            forward.read_timeout = duration(token)?;
            if forward.read_timeout.is_zero() {
                return Err(ConfigError::at(token, "read_timeout must be greater than 0"));
            }
        }
        name if NOT_YET.contains(&name) => return Err(option_not_yet(&option.name)),
        name => return Err(ConfigError::at(&option.name, format!("unknown property '{name}'"))),
    }
    Ok(())
}

fn policy(token: &Token) -> Result<Order, ConfigError> {
    match &*token.text {
        "random" => Ok(Order::Random),
        "round_robin" => Ok(Order::RoundRobin),
        "sequential" => Ok(Order::Sequential),
        other => Err(ConfigError::at(token, format!("unknown policy '{other}'"))),
    }
}
