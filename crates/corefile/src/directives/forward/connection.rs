//! How the upstreams of a `forward` are reached: the scheme before an address, and the options about
//! connections.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::time::Duration;

use rustls::pki_types::ServerName;

use super::super::{DirectiveContext, duration, integer};
use super::tls;
use crate::address::split_port;
use crate::error::ConfigError;
use crate::lexer::Token;
use crate::settings::ConnectionOptions;
use crate::tree::Words;

/// Where DNS over TLS is spoken (RFC 7858 section 3.1).
const TLS_PORT: u16 = 853;

/// What a directive without options about connections says.
pub(super) fn unset() -> ConnectionOptions {
    ConnectionOptions {
        expire: Duration::from_secs(10),
        max_age: None,
        max_idle_conns: None,
        source_address: None,
        tls: None,
    }
}

/// The options about connections as they are read; some make sense only together.
pub(super) struct Draft<'a> {
    connection: ConnectionOptions,
    max_age: Option<&'a Token>,
    source: Option<&'a Token>,
    tls: Option<&'a Words>,
    server_name: Option<&'a Token>,
}

impl<'a> Draft<'a> {
    pub(super) fn new() -> Self {
        Self { connection: unset(), max_age: None, source: None, tls: None, server_name: None }
    }

    /// Reads an option about connections; false for any other.
    pub(super) fn read_option(&mut self, option: &'a Words) -> Result<bool, ConfigError> {
        match &*option.name.text {
            "expire" => self.connection.expire = duration(option.one()?)?,
            "max_age" => {
                let token = option.one()?;
                self.connection.max_age = Some(duration(token)?).filter(|age| !age.is_zero());
                self.max_age = Some(token);
            }
            "max_idle_conns" => self.connection.max_idle_conns = count(option.one()?)?,
            "source_address" => {
                let token = option.one()?;
                self.connection.source_address = Some(source_address(token)?);
                self.source = Some(token);
            }
            "tls" => {
                option.arguments(0, 3)?;
                self.tls = Some(option);
            }
            "tls_servername" => self.server_name = Some(option.one()?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// All of it together, for upstreams written as `to` and understood as `upstreams`.
    pub(super) fn settle(
        mut self,
        to: &[Token],
        upstreams: &[SocketAddr],
        context: &mut DirectiveContext<'_>,
    ) -> Result<ConnectionOptions, ConfigError> {
        self.check_age()?;
        self.check_source(upstreams)?;
        let mut names = Vec::new();
        for entry in to {
            names.extend(encrypted(entry)?.map(|target| (entry, target)));
        }
        let common = self.server_name.map(|token| server_name(token, &token.text)).transpose()?;
        let named = names.iter().map(|(entry, (addr, name))| {
            let own = name.map(|name| server_name(entry, name)).transpose()?;
            Ok((*addr, common.clone().or(own).unwrap_or_else(|| ServerName::from(addr.ip()))))
        });
        let named: Vec<_> = named.collect::<Result<_, ConfigError>>()?;
        let needs = names.first().map(|(entry, _)| *entry);
        if needs.is_none()
            && let Some((option, written)) = self.unused_tls()
        {
            let place = written.place();
            context
                .warnings
                .push(format!("{place} - no upstream is reached by tls://: {option} does nothing"));
        }
        self.connection.tls = tls::read(self.tls, needs, named, context.host)?;
        Ok(self.connection)
    }

    /// An option about TLS, and where it is written.
    fn unused_tls(&self) -> Option<(&'static str, &'a Token)> {
        let certificates = self.tls.map(|option| ("tls", &option.name));
        certificates.or_else(|| Some(("tls_servername", self.server_name?)))
    }

    fn check_age(&self) -> Result<(), ConfigError> {
        let (Some(token), Some(age)) = (self.max_age, self.connection.max_age) else { return Ok(()) };
        let expire = self.connection.expire;
        if age < expire {
            let reason = format!("max_age ({age:?}) must not be less than expire ({expire:?})");
            return Err(ConfigError::at(token, reason));
        }
        Ok(())
    }

    fn check_source(&self, upstreams: &[SocketAddr]) -> Result<(), ConfigError> {
        let (Some(token), Some(source)) = (self.source, self.connection.source_address) else {
            return Ok(());
        };
        let stranger = upstreams.iter().find(|upstream| upstream.is_ipv4() != source.is_ipv4());
        stranger.map_or(Ok(()), |upstream| {
            Err(ConfigError::at(
                token,
                format!("{source} cannot ask {upstream}: the one is IPv4, the other IPv6"),
            ))
        })
    }
}

fn count(token: &Token) -> Result<Option<NonZeroUsize>, ConfigError> {
    let number = integer(token)?;
    let number = usize::try_from(number)
        .map_err(|_| ConfigError::at(token, format!("max_idle_conns can't be negative: {number}")))?;
    Ok(NonZeroUsize::new(number))
}

fn source_address(token: &Token) -> Result<IpAddr, ConfigError> {
    token
        .text
        .parse()
        .map_err(|_| ConfigError::at(token, format!("source_address {:?} is not an IP address", token.text)))
}

fn server_name(token: &Token, name: &str) -> Result<ServerName<'static>, ConfigError> {
    ServerName::try_from(name.to_owned())
        .map_err(|_| ConfigError::at(token, format!("{name:?} cannot be the name of a server")))
}

/// The address in a word of TO that is not reached by TLS.
pub(super) fn without_scheme(entry: &Token) -> Result<&str, ConfigError> {
    match entry.text.split_once("://") {
        Some(("dns", rest)) => Ok(rest),
        Some((transport @ ("https" | "quic" | "grpc" | "unix"), _)) => {
            let reason =
                format!("{transport}:// upstreams are not supported by nodelocaldns yet: {}", entry.text);
            Err(ConfigError::at(entry, reason))
        }
        _ => Ok(&entry.text),
    }
}

/// The address and name in a word of TO like `tls://IP`, `tls://IP%NAME`, each with `:PORT` if need be; nothing
/// for one with another scheme.
pub(super) fn encrypted(entry: &Token) -> Result<Option<(SocketAddr, Option<&str>)>, ConfigError> {
    let Some(("tls", text)) = entry.text.split_once("://") else { return Ok(None) };
    let (ip, name, port) = match text.split_once('%') {
        Some((ip, rest)) => match rest.split_once(':') {
            Some((name, port)) => (ip, Some(name), Some(port)),
            None => (ip, Some(rest), None),
        },
        None if text.parse::<IpAddr>().is_ok() => (text, None, None),
        None => match split_port(text) {
            Some((ip, port)) => (ip, None, Some(port)),
            None => (text, None, None),
        },
    };
    let ip = ip.trim_start_matches('[').trim_end_matches(']');
    let ip = ip.parse::<IpAddr>();
    let ip =
        ip.map_err(|_| ConfigError::at(entry, format!("tls:// wants an IP address: {:?}", entry.text)))?;
    let port = port.map_or(Ok(TLS_PORT), str::parse).ok().filter(|port| *port > 0);
    let port =
        port.ok_or_else(|| ConfigError::at(entry, format!("the port of {text:?} is not 1 to 65535")))?;
    Ok(Some((SocketAddr::new(ip, port), name.map(|name| name.trim_end_matches(']')))))
}
