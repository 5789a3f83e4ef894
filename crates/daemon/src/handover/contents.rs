//! Contents of hand-over messages: the welcome of the active instance, its server blocks, and the
//! descriptions of its sockets (`udp ADDRESS`, `tcp ADDRESS`, `http CONFIGURED BOUND`).

use std::fmt::{self, Display};
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use resolver::action::Transport;

/// Characters of a peer's text in a log line.
const MAX_LOGGED_CHARS: usize = 100;

/// A peer's text, sanitized for a log line.
pub(super) fn one_line(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    line.chars().filter(|letter| !letter.is_control()).take(MAX_LOGGED_CHARS).collect()
}

/// Content of `HELLO`.
pub(super) fn hello() -> String {
    format!("version {}\n", env!("CARGO_PKG_VERSION"))
}

/// Content of `WELCOME`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Welcome {
    /// Version of the active instance.
    pub(super) version: String,
    /// Addresses on its link.
    pub(super) addresses: Vec<IpAddr>,
}

impl Welcome {
    pub(super) fn to_lines(&self) -> String {
        let mut lines = format!("version {}\n", self.version);
        for address in &self.addresses {
            lines += &format!("address {address}\n");
        }
        lines
    }

    /// Other lines are skipped.
    pub(super) fn parse(octets: &[u8]) -> Self {
        let lines = String::from_utf8_lossy(octets);
        let values = |wanted| {
            let lines = lines.lines().filter_map(|line| line.split_once(' '));
            lines.filter(move |(key, _)| *key == wanted).map(|(_, value)| value)
        };
        Self {
            version: values("version").next().map(one_line).unwrap_or_default(),
            addresses: values("address").filter_map(|value| value.parse().ok()).collect(),
        }
    }
}

/// Content of `BLOCK`: the number of a server block and its fingerprint.
pub(super) fn block(number: u16, fingerprint: &str) -> Vec<u8> {
    let mut octets = number.to_be_bytes().to_vec();
    octets.extend(fingerprint.as_bytes());
    octets
}

/// Number and fingerprint of a server block.
pub(super) fn parse_block(octets: &[u8]) -> Option<(u16, String)> {
    let (number, fingerprint) = octets.split_first_chunk()?;
    Some((u16::from_be_bytes(*number), String::from_utf8_lossy(fingerprint).into_owned()))
}

/// Content of `SOCKET`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SocketDescription {
    /// Of a listener for DNS.
    Dns(Transport, SocketAddr),
    /// Of a listener for HTTP: its configured and its bound address.
    Http(SocketAddr, SocketAddr),
}

impl Display for SocketDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(Transport::Udp, address) => write!(f, "udp {address}"),
            Self::Dns(Transport::Tcp, address) => write!(f, "tcp {address}"),
            Self::Http(configured, bound) => write!(f, "http {configured} {bound}"),
        }
    }
}

impl FromStr for SocketDescription {
    type Err = String;

    /// Further words are skipped.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split(' ');
        let kind = words.next().unwrap_or_default();
        let address = parse(words.next())?;
        match kind {
            "udp" => Ok(Self::Dns(Transport::Udp, address)),
            "tcp" => Ok(Self::Dns(Transport::Tcp, address)),
            "http" => Ok(Self::Http(address, parse(words.next())?)),
            _ => Err("unknown kind of socket".to_owned()),
        }
    }
}

fn parse(word: Option<&str>) -> Result<SocketAddr, String> {
    word.unwrap_or_default().parse().map_err(|error: std::net::AddrParseError| error.to_string())
}
