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
//! Questions for names in FROM, but not in the zones of `except`, go to one of TO: an IP address, with a port
//! if it is not 53, or a file whose `nameserver` lines are taken, and taken again when they change. They travel
//! as the client's did; with `force_tcp` always over TCP, with `prefer_udp` over UDP first. `policy` says in
//! which order upstreams are tried, `random` if not given. More questions at once than `max_concurrent` are
//! refused; 0, as if not given, is no limit. A question makes `max_connect_attempts` attempts at most, two for
//! each upstream if not given; 0 is no limit but its deadline. `read_timeout`, 2s, is how long one attempt
//! waits; `expire` is how long an idle connection is kept, 8s at most and if not given, because CoreDNS closes it
//! after 10s. `health` and `answers` have the options about upstreams that fail and about answers with which others
//! are asked.
//!
//! No connection is used for longer than `max_age`, at least `expire`, nor less than three fifths of it; 0, as if not
//! given, is 75s. Of those that are idle, `max_idle_conns` are kept; 0, as if not given, is no limit, and each worker
//! keeps one at least. Questions leave from `source_address`.
//!
//! `tls://IP`, with `%NAME` and a port behind it if it is not 853, is reached by DNS over TLS (RFC 7858). It must prove
//! to be `tls_servername`, or else NAME, or else IP, by a certificate of an authority in the file CA, or else of one
//! that the fake_host knows; CERT and KEY are files that say who we are.
//!
//! `doh_method` is checked and has no effect: there are no upstreams by HTTPS. `resolver`, with which CoreDNS
//! looks up TO given as host names, is refused, and so are host names: they would have to be looked up before
//! this cache serves, and the resolver of the node may be this cache.

use std::time::Duration;

use resolver::policy::{ForwardOptions, MaxConnectAttempts, SelectionPolicy, TransportPreference};

use super::{DirectiveContext, duration_or, integer};
use crate::error::ConfigError;
use crate::keys;
use crate::lexer::Token;
use crate::settings::Forward;
use crate::tree::{Directive, Words};

mod answers;
mod connection;
mod health;
mod tls;
mod upstreams;

/// Why names are not looked up, and what to write instead.
const NO_LOOKUP: &str = "host names are not looked up, because the resolver of the node may be this cache: write \
                         IP addresses, or the path of a file with nameserver lines";

pub(super) fn read(
    directive: &Directive,
    context: &mut DirectiveContext<'_>,
) -> Result<Forward, ConfigError> {
    let [from, to @ ..] = directive.head.args.as_slice() else {
        return Err(ConfigError::argument(&directive.head.name));
    };
    let Some(last) = to.last() else {
        return Err(ConfigError::argument(from));
    };
    let mut zones = keys::zones(from)?.into_iter();
    let zone = zones.next().ok_or_else(|| ConfigError::at(from, "FROM names no zone"))?;
    if zones.next().is_some() {
        context.warnings.push(format!(
            "{} - Unsupported CIDR notation: '{}' expands to multiple zones. Using only '{zone}'.",
            from.place(),
            from.text
        ));
    }
    let upstreams = upstreams::read(to, last, context)?;
    let mut options = ForwardOptions::new(zone);
    let mut connection = connection::Draft::new();
    for option in &directive.options {
        if !connection.read_option(option)? {
            read_option(option, &mut options, context.warnings)?;
        }
    }
    let connection = connection.settle(to, &upstreams, context)?;
    Ok(Forward { options, upstreams, connection })
}

/// What to say of a `next` in the last `forward` of a block, after which there is nobody to ask.
pub(super) fn leads_nowhere(directives: &[Directive]) -> Option<String> {
    let last = directives.iter().rfind(|directive| directive.head.name.is("forward"))?;
    let names = ["next", "next_on_nodata"];
    let Words { name, .. } = last.options.iter().find(|option| names.contains(&&*option.name.text))?;
    Some(format!("{} - no forward follows in this block: {} does nothing", name.place(), name.text))
}

fn read_option(
    option: &Words,
    options: &mut ForwardOptions,
    warnings: &mut Vec<String>,
) -> Result<(), ConfigError> {
    match &*option.name.text {
        "except" => {
            for zone in option.arguments(1, usize::MAX)? {
                options.except.extend(keys::zones(zone)?);
            }
        }
        "force_tcp" => {
            option.bare()?;
            options.transport = TransportPreference::ForceTcp;
        }
        "prefer_udp" => {
            option.bare()?;
            if options.transport != TransportPreference::ForceTcp {
                options.transport = TransportPreference::PreferUdp;
            }
        }
        "policy" => options.policy = policy(option.one()?)?,
        "max_concurrent" => options.max_concurrent = max_concurrent(option.one()?)?,
        "max_connect_attempts" => {
            options.max_connect_attempts = match number(option.one()?)? {
                0 => MaxConnectAttempts::Unlimited,
                most => MaxConnectAttempts::Limit(most),
            };
        }
        "max_fails" => options.health_check.max_fails = number(option.one()?)?,
        "health_check" => health::check(option, &mut options.health_check, warnings)?,
        "failfast_all_unhealthy_upstreams" => {
            option.bare()?;
            options.health_check.failfast = true;
        }
        "failover" => options.failover.extend(answers::failover(option)?),
        "next" => options.next.extend(answers::rcodes(option)?),
        "next_on_nodata" => {
            option.bare()?;
            options.next_on_nodata = true;
        }
        "read_timeout" => options.read_timeout = read_timeout(option.one()?)?,
        "doh_method" => warnings.push(doh_method(option)?),
        "resolver" => {
            option.arguments(1, usize::MAX)?;
            let reason = format!("option 'resolver' is not supported by nodelocaldns: {NO_LOOKUP}");
            return Err(ConfigError::at(&option.name, reason));
        }
        name => return Err(ConfigError::at(&option.name, format!("unknown property '{name}'"))),
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

/// Reads a whole number of 32 bits.
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

/// Checks `doh_method`, and says that it does nothing.
fn doh_method(option: &Words) -> Result<String, ConfigError> {
    let token = option.one()?;
    if !token.is("GET") && !token.is("POST") {
        return Err(ConfigError::at(token, "doh_method must be either POST or GET"));
    }
    Ok(format!("{} - doh_method has no effect: there are no upstreams by HTTPS", option.name.place()))
}

fn policy(token: &Token) -> Result<SelectionPolicy, ConfigError> {
    match &*token.text {
        "random" => Ok(SelectionPolicy::Random),
        "round_robin" => Ok(SelectionPolicy::RoundRobin),
        "sequential" => Ok(SelectionPolicy::Sequential),
        other => Err(ConfigError::at(token, format!("unknown policy '{other}'"))),
    }
}
