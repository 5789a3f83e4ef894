//! ```text
//! forward FROM TO... {
//!     except ZONES...
//!     force_tcp
//!     prefer_udp
//!     policy random|round_robin|sequential
//!     max_concurrent NUMBER
//!     read_timeout DURATION
//!     expire DURATION
//! }
//! ```
//!
//! Questions for names in FROM, but not in the zones of `except`, go to one of TO: an IP address, with a port
//! if it is not 53, or a file whose `nameserver` lines are taken. They travel as the client's did; with
//! `force_tcp` always over TCP, with `prefer_udp` over UDP first. `policy` says in which order upstreams are
//! tried, `random` if not given. More questions at once than `max_concurrent` are refused; 0, as if not
//! given, is no limit. `read_timeout`, 2s, is how long one attempt waits; `expire`, 10s, is how long an idle
//! connection is kept.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use resolver::policy::{AttemptRule, HealthPolicy, Order, TransportRule};
use wire::name::Name;

use super::super::address::{split_port, with_port};
use super::super::error::ConfigError;
use super::super::keys;
use super::super::lexer::Token;
use super::super::settings::{Carriage, Forward};
use super::super::system::System;
use super::super::tree::{Directive, Words};
use super::{Surroundings, duration, integer, option_not_yet};

/// Upstreams in one directive, as CoreDNS has it.
const MAX_UPSTREAMS: usize = 15;

/// Options of CoreDNS up to 1.15.0 that are not built.
const NOT_YET: [&str; 14] = [
    "doh_method",
    "failfast_all_unhealthy_upstreams",
    "failover",
    "health_check",
    "max_age",
    "max_connect_attempts",
    "max_fails",
    "max_idle_conns",
    "next",
    "next_on_nodata",
    "resolver",
    "source_address",
    "tls",
    "tls_servername",
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
        upstreams: check_count(upstreams(to, around)?, last)?,
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
        carriage: Carriage { expire: Duration::from_secs(10) },
    };
    for option in &directive.options {
        read_option(option, &mut forward)?;
    }
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
        "expire" => forward.carriage.expire = duration(option.one()?)?,
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

/// All upstreams, as often as they were written.
fn upstreams(to: &[Token], around: &mut Surroundings<'_>) -> Result<Vec<SocketAddr>, ConfigError> {
    let mut written = Vec::new();
    for entry in to {
        match address(entry, around.system)? {
            Some(address) => written.push(address),
            None => written.extend(nameservers(entry, around)?),
        }
    }
    Ok(written)
}

/// Each upstream once, and not more than there may be.
fn check_count(written: Vec<SocketAddr>, last: &Token) -> Result<Vec<SocketAddr>, ConfigError> {
    if written.is_empty() {
        return Err(ConfigError::at(last, "no nameservers found"));
    }
    if written.len() > MAX_UPSTREAMS {
        let reason = format!("more than {MAX_UPSTREAMS} TOs configured: {}", written.len());
        return Err(ConfigError::at(last, reason));
    }
    let mut upstreams: Vec<SocketAddr> = Vec::new();
    for address in written {
        if !upstreams.contains(&address) {
            upstreams.push(address);
        }
    }
    Ok(upstreams)
}

/// Reads `IP`, `IP:PORT`, `[V6]:PORT`, each with `dns://` in front if one likes; nothing for anything else.
fn address(entry: &Token, system: &dyn System) -> Result<Option<SocketAddr>, ConfigError> {
    let text = match entry.text.split_once("://") {
        Some(("dns", rest)) => rest,
        Some((transport @ ("tls" | "https" | "quic" | "grpc" | "unix"), _)) => {
            let reason =
                format!("{transport}:// upstreams are not supported by nodelocaldns yet: {}", entry.text);
            return Err(ConfigError::at(entry, reason));
        }
        _ => &entry.text,
    };
    if text.is_empty() {
        return Err(ConfigError::at(entry, format!("invalid address: {:?}", entry.text)));
    }
    if let Some(address) = with_port(text, 53, system) {
        return Ok(Some(address));
    }
    let Some((host, port)) = split_port(text) else { return Ok(None) };
    let Some(mut address) = with_port(host, 0, system) else { return Ok(None) };
    let port = port.parse().ok().filter(|port| *port > 0);
    address.set_port(
        port.ok_or_else(|| ConfigError::at(entry, format!("the port of {text:?} is not 1 to 65535")))?,
    );
    Ok(Some(address))
}

/// The `nameserver` lines of a file in the form of resolv.conf.
fn nameservers(entry: &Token, around: &mut Surroundings<'_>) -> Result<Vec<SocketAddr>, ConfigError> {
    let bytes = around.system.read(Path::new(&*entry.text)).map_err(|error| {
        let is_path = entry.text.contains('/');
        let reason = match error.kind() {
            ErrorKind::NotFound if !is_path => format!("not an IP address or file: {:?}", entry.text),
            _ => format!("cannot read the upstreams from {:?}: {error}", entry.text),
        };
        ConfigError::at(entry, reason)
    })?;
    let text = String::from_utf8_lossy(&bytes);
    let mut addresses = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some("nameserver"), Some(server)) = (words.next(), words.next()) else { continue };
        let ip = server.split_once('%').map_or(server, |(ip, _)| ip);
        match ip.parse() {
            Ok(ip) => addresses.push(SocketAddr::new(ip, 53)),
            Err(_) => around.warnings.push(format!(
                "{} - {} names {server:?}, which is not an IP address and is left out",
                entry.place(),
                entry.text
            )),
        }
    }
    if addresses.is_empty() {
        around.warnings.push(format!("{} - {} names no nameserver", entry.place(), entry.text));
    }
    Ok(addresses)
}
