//! Options of `forward` about upstream connections: `expire`, `max_age`, `max_idle_conns`,
//! `source_address`, `tls`, `tls_servername`.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::time::Duration;

use rustls::pki_types::ServerName;

use super::endpoint::parse_tls;
use super::tls::parse_certificates;
use crate::directives::context::DirectiveContext;
use crate::error::ConfigError;
use crate::settings::ConnectionOptions;
use crate::token::Token;
use crate::tree::Line;
use crate::values::{duration, integer};

/// Parses options about connections; [`Self::finish`] validates them together.
pub(super) struct ConnectionParser<'a> {
    options: ConnectionOptions,
    max_age: Option<&'a Token>,
    source_address: Option<&'a Token>,
    tls: Option<&'a Line>,
    tls_servername: Option<&'a Token>,
}

impl<'a> ConnectionParser<'a> {
    pub(super) fn new() -> Self {
        let options = ConnectionOptions {
            expire: Duration::from_secs(10),
            max_age: None,
            max_idle_conns: None,
            source_address: None,
            tls: None,
        };
        Self { options, max_age: None, source_address: None, tls: None, tls_servername: None }
    }

    /// Parses an option; false if it is not about connections.
    pub(super) fn parse_option(&mut self, option: &'a Line) -> Result<bool, ConfigError> {
        match &*option.name.text {
            "expire" => self.options.expire = duration(option.single_argument()?)?,
            "max_age" => {
                let token = option.single_argument()?;
                self.options.max_age = Some(duration(token)?).filter(|age| !age.is_zero());
                self.max_age = Some(token);
            }
            "max_idle_conns" => self.options.max_idle_conns = max_idle_conns(option.single_argument()?)?,
            "source_address" => {
                let token = option.single_argument()?;
                self.options.source_address = Some(source_address(token)?);
                self.source_address = Some(token);
            }
            "tls" => {
                option.arguments(0, 3)?;
                self.tls = Some(option);
            }
            "tls_servername" => self.tls_servername = Some(option.single_argument()?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The options for `upstreams`, which are the addresses in `to`.
    pub(super) fn finish(
        mut self,
        to: &[Token],
        upstreams: &[SocketAddr],
        context: &mut DirectiveContext<'_>,
    ) -> Result<ConnectionOptions, ConfigError> {
        self.check_max_age()?;
        self.check_source_address(upstreams)?;
        let mut over_tls = Vec::new();
        for word in to {
            over_tls.extend(parse_tls(word)?.map(|endpoint| (word, endpoint)));
        }
        let common = self.tls_servername.map(|token| server_name(token, &token.text)).transpose()?;
        let names = over_tls.iter().map(|(word, (addr, name))| {
            let own = name.map(|name| server_name(word, name)).transpose()?;
            Ok((*addr, common.clone().or(own).unwrap_or_else(|| ServerName::from(addr.ip()))))
        });
        let names: Vec<_> = names.collect::<Result<_, ConfigError>>()?;
        let first_over_tls = over_tls.first().map(|(word, _)| *word);
        if first_over_tls.is_none()
            && let Some((option, token)) = self.unused_tls_option()
        {
            let location = token.location();
            context.warnings.push(format!("{location} - no upstream uses tls://: {option} has no effect"));
        }
        self.options.tls = parse_certificates(self.tls, first_over_tls, names, context)?;
        Ok(self.options)
    }

    /// An option about TLS with its token, given that no upstream uses TLS.
    fn unused_tls_option(&self) -> Option<(&'static str, &'a Token)> {
        let certificates = self.tls.map(|option| ("tls", &option.name));
        certificates.or_else(|| Some(("tls_servername", self.tls_servername?)))
    }

    fn check_max_age(&self) -> Result<(), ConfigError> {
        let (Some(token), Some(age)) = (self.max_age, self.options.max_age) else { return Ok(()) };
        let expire = self.options.expire;
        if age < expire {
            let reason = format!("max_age ({age:?}) must not be less than expire ({expire:?})");
            return Err(ConfigError::at(token, reason).of_combination());
        }
        Ok(())
    }

    fn check_source_address(&self, upstreams: &[SocketAddr]) -> Result<(), ConfigError> {
        let (Some(token), Some(source)) = (self.source_address, self.options.source_address) else {
            return Ok(());
        };
        let other_family = upstreams.iter().find(|upstream| upstream.is_ipv4() != source.is_ipv4());
        other_family.map_or(Ok(()), |upstream| {
            let reason = format!("{source} and upstream {upstream} are of different address families");
            Err(ConfigError::at(token, reason).of_combination())
        })
    }
}

fn max_idle_conns(token: &Token) -> Result<Option<NonZeroUsize>, ConfigError> {
    let number = integer(token)?;
    let number = usize::try_from(number)
        .map_err(|_| ConfigError::at(token, format!("max_idle_conns can't be negative: {number}")))?;
    Ok(NonZeroUsize::new(number))
}

fn source_address(token: &Token) -> Result<IpAddr, ConfigError> {
    let reason = || format!("source_address {:?} is not an IP address", token.text);
    token.text.parse().map_err(|_| ConfigError::at(token, reason()))
}

fn server_name(token: &Token, name: &str) -> Result<ServerName<'static>, ConfigError> {
    ServerName::try_from(name.to_owned())
        .map_err(|_| ConfigError::at(token, format!("{name:?} is not a valid server name")))
}
