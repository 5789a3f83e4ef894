//! ```text
//! forward FROM TO... {
//!     except ZONES...
//!     force_tcp
//!     prefer_udp
//!     policy random|round_robin|sequential
//!     max_concurrent NUMBER
//!     max_connect_attempts NUMBER
//!     max_fails NUMBER
//!     health_check DURATION [no_rec] [domain NAME]
//!     failfast_all_unhealthy_upstreams
//!     failover RCODES...
//!     next RCODES...
//!     next_on_nodata
//!     read_timeout DURATION
//!     expire DURATION
//!     doh_method GET|POST
//!     max_age DURATION
//!     max_idle_conns NUMBER
//!     source_address IP
//!     tls [CERT KEY [CA] | CA]
//!     tls_servername NAME
//! }
//! ```
//!
//! Forwards queries for names in FROM, but not in the zones of `except`, to one of TO: an IP
//! address, optionally with a port (53 by default), or a file whose `nameserver` lines are used,
//! and read again when they change. Transport is the client's, TCP with `force_tcp`, UDP first with
//! `prefer_udp`. `policy`, `random` by default, is the order in which upstreams are tried. Queries
//! above `max_concurrent` in flight are refused; 0, the default, is no limit.
//! `max_connect_attempts` limits the attempts of a query, by default two for each upstream; 0
//! leaves them to its deadline. `read_timeout`, 2s by default, is the timeout of an attempt.
//! `expire` is the idle timeout of a connection, 8s at most and by default, because CoreDNS closes
//! it after 10s.
//!
//! A connection is used for at most `max_age`, which is not less than `expire`, and for at least
//! three fifths of it; 0, the default, is 75s. At most `max_idle_conns` idle connections are kept;
//! 0, the default, is no limit, and each worker keeps at least one. `source_address` is the local
//! address of connections and sockets.
//!
//! `tls://IP`, optionally with `%NAME` and a port (853 by default), is DNS over TLS (RFC 7858). The
//! server certificate must be for `tls_servername`, or else NAME, or else IP, and be issued by a CA
//! in the file CA, or else by one of the system's CAs, or, if it has no bundle of them, by a public CA
//! of Mozilla's list, which is compiled in. CERT and KEY are the client certificate.
//!
//! See `health_check` and `failover` for the options about upstreams that fail and about responses
//! after which others are tried.
//!
//! `doh_method` is validated and has no effect: HTTPS upstreams are not supported. `resolver`, with
//! which CoreDNS resolves host names in TO, is rejected, and so are host names: they would have to
//! be resolved before this cache serves, and the resolver of the node may be this cache.

mod connection;
mod endpoint;
mod failover;
mod health_check;
mod tls;
mod upstreams;

use std::time::Duration;

use resolver::policy::{ForwardOptions, MaxConnectAttempts, SelectionPolicy, TransportPreference};
use wire::name::Name;

use self::connection::ConnectionParser;
use self::endpoint::NO_LOOKUP;
pub(super) use self::failover::next_without_successor;
use super::context::DirectiveContext;
use crate::error::ConfigError;
use crate::settings::Forward;
use crate::token::Token;
use crate::tree::{Directive, Line};
use crate::values::{duration_or, integer};
use crate::zones::{parse_all_zones, parse_zones};

const OPTIONS: [&str; 21] = [
    "except",
    "force_tcp",
    "prefer_udp",
    "policy",
    "max_concurrent",
    "max_connect_attempts",
    "max_fails",
    "health_check",
    "failfast_all_unhealthy_upstreams",
    "failover",
    "next",
    "next_on_nodata",
    "read_timeout",
    "expire",
    "doh_method",
    "max_age",
    "max_idle_conns",
    "source_address",
    "tls",
    "tls_servername",
    "resolver",
];

pub(super) fn parse(
    directive: &Directive,
    context: &mut DirectiveContext<'_>,
) -> Result<Forward, ConfigError> {
    let [from, to @ ..] = directive.line.args.as_slice() else {
        return Err(ConfigError::argument_count(directive.name()));
    };
    let mut options = ForwardOptions::new(Name::root());
    let mut connection = ConnectionParser::new();
    for option in &directive.options {
        if !connection.parse_option(option)? {
            parse_option(option, &mut options, context.warnings)?;
        }
    }
    options.from = zone(from, context)?;
    let Some(last) = to.last() else {
        return Err(no_upstream(from));
    };
    let (upstreams, files) = upstreams::parse(to, last, context)?;
    let connection = connection.finish(to, &upstreams, context)?;
    Ok(Forward { options, upstreams, files, connection })
}

/// FROM.
fn zone(from: &Token, context: &mut DirectiveContext<'_>) -> Result<Name, ConfigError> {
    let mut zones = parse_zones(from)?.into_iter();
    let zone = zones.next().ok_or_else(|| ConfigError::at(from, "FROM names no zone"))?;
    if zones.next().is_some() {
        context.warnings.push(format!(
            "{} - Unsupported CIDR notation: '{}' expands to multiple zones. Using only '{zone}'.",
            from.location(),
            from.text
        ));
    }
    Ok(zone)
}

/// `forward .` without TO.
fn no_upstream(from: &Token) -> ConfigError {
    ConfigError::argument_count(from)
        .with_remedy("no upstream is given; write one, such as 'forward . /etc/resolv.conf'")
}

fn parse_option(
    option: &Line,
    options: &mut ForwardOptions,
    warnings: &mut Vec<String>,
) -> Result<(), ConfigError> {
    match &*option.name.text {
        "except" => options.except.extend(parse_all_zones(option.arguments(1, usize::MAX)?)?),
        "force_tcp" => {
            option.no_arguments()?;
            options.transport = TransportPreference::ForceTcp;
        }
        "prefer_udp" => {
            option.no_arguments()?;
            if options.transport != TransportPreference::ForceTcp {
                options.transport = TransportPreference::PreferUdp;
            }
        }
        "policy" => options.policy = policy(option.single_argument()?)?,
        "max_concurrent" => options.max_concurrent = max_concurrent(option.single_argument()?)?,
        "max_connect_attempts" => {
            options.max_connect_attempts = match number(option.single_argument()?)? {
                0 => MaxConnectAttempts::Unlimited,
                most => MaxConnectAttempts::Limit(most),
            };
        }
        "max_fails" => options.health_check.max_fails = number(option.single_argument()?)?,
        "health_check" => health_check::parse(option, &mut options.health_check, warnings)?,
        "failfast_all_unhealthy_upstreams" => {
            option.no_arguments()?;
            options.health_check.failfast = true;
        }
        "failover" => options.failover.extend(failover::failover(option)?),
        "next" => options.next.extend(failover::rcodes(option)?),
        "next_on_nodata" => {
            option.no_arguments()?;
            options.next_on_nodata = true;
        }
        "read_timeout" => options.read_timeout = read_timeout(option.single_argument()?)?,
        "doh_method" => warnings.push(doh_method(option)?),
        "resolver" => {
            option.arguments(1, usize::MAX)?;
            let reason = format!("option 'resolver' is not supported by nodelocaldns: {NO_LOOKUP}");
            return Err(ConfigError::at(&option.name, reason));
        }
        _ => return Err(ConfigError::unknown_property(&option.name, &OPTIONS)),
    }
    Ok(())
}

fn max_concurrent(token: &Token) -> Result<u32, ConfigError> {
    let number = integer(token)?;
    if number < 0 {
        return Err(ConfigError::at(token, format!("max_concurrent can't be negative: {number}")));
    }
    Ok(u32::try_from(number).unwrap_or(u32::MAX))
}

/// Parses a 32-bit integer.
fn number(token: &Token) -> Result<u32, ConfigError> {
    let reason = || format!("'{}' is not a whole number from 0 to {}", token.text, u32::MAX);
    token.text.parse().map_err(|_| ConfigError::at(token, reason()))
}

fn read_timeout(token: &Token) -> Result<Duration, ConfigError> {
    let reason = format!("read_timeout must be positive: {}", token.text);
    let timeout = duration_or(token, &reason)?;
    if timeout.is_zero() {
        return Err(ConfigError::at(token, reason));
    }
    Ok(timeout)
}

/// Validates `doh_method`, and returns a warning that it has no effect.
fn doh_method(option: &Line) -> Result<String, ConfigError> {
    let token = option.single_argument()?;
    if !token.is("GET") && !token.is("POST") {
        return Err(ConfigError::at(token, "doh_method must be either POST or GET"));
    }
    Ok(format!("{} - doh_method has no effect: HTTPS upstreams are not supported", option.name.location()))
}

fn policy(token: &Token) -> Result<SelectionPolicy, ConfigError> {
    match &*token.text {
        "random" => Ok(SelectionPolicy::Random),
        "round_robin" => Ok(SelectionPolicy::RoundRobin),
        "sequential" => Ok(SelectionPolicy::Sequential),
        other => Err(ConfigError::at(token, format!("unknown policy '{other}'"))),
    }
}
