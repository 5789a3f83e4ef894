//! Options that `rewrite edns0` adds to queries: local codes, NSID (RFC 5001), and client subnet
//! (RFC 7871).

use std::net::IpAddr;

use super::facts::QueryFacts;

/// Option code of NSID (RFC 5001 section 4.1).
const NSID: u16 = 3;
/// Option code of the client subnet (RFC 7871 section 6).
const CLIENT_SUBNET: u16 = 8;
/// Octets of an option's code and length.
const OPTION_HEADER_LEN: usize = 4;

/// An `edns0` rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionRule {
    /// What it does.
    pub action: OptionAction,
    /// The option and its data.
    pub option: OptionData,
}

/// What an `edns0` rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionAction {
    /// Replaces the option, or adds it.
    Set,
    /// Adds the option unless there is one with its code.
    Append,
    /// Replaces the option if there is one.
    Replace,
    /// Removes the option.
    Unset,
}

impl OptionAction {
    /// All.
    pub const ALL: [Self; 4] = [Self::Set, Self::Append, Self::Replace, Self::Unset];

    /// Its name in a `rewrite` directive.
    pub fn name(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Append => "append",
            Self::Replace => "replace",
            Self::Unset => "unset",
        }
    }

    /// The action with a name, in lower case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }
}

/// The option of an `edns0` rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptionData {
    /// Octets under a code.
    Local(u16, Vec<u8>),
    /// A property of the query under a code.
    Variable(u16, OptionVariable),
    /// An empty NSID option.
    Nsid,
    /// The client's address, of which as many bits count.
    Subnet {
        /// 0 to 32.
        v4: u8,
        /// 0 to 128.
        v6: u8,
    },
}

/// A property of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionVariable {
    /// QNAME as text, with the trailing dot.
    QueryName,
    /// QTYPE in two octets.
    QueryType,
    /// The client's address, in four or sixteen octets.
    ClientIp,
    /// The client's port, in two octets.
    ClientPort,
    /// `udp` or `tcp`.
    Protocol,
    /// The address that received the query.
    ServerIp,
    /// The port that received the query.
    ServerPort,
    /// A label of `metadata`, none of which is set before a query is rewritten.
    Metadata,
}

impl OptionRule {
    /// Changes encoded options. False when the rule does not apply.
    pub(super) fn apply(&self, facts: &QueryFacts<'_>, options: &mut Vec<u8>) -> bool {
        let code = self.option.code();
        let present = position(options, code);
        match (self.action, present) {
            (OptionAction::Append, Some(_)) | (OptionAction::Replace | OptionAction::Unset, None) => {
                return false;
            }
            _ => {}
        }
        let data = match self.action {
            OptionAction::Unset => None,
            _ => Some(match self.option.data(facts) {
                Some(data) => data,
                None => return false,
            }),
        };
        if let Some((start, end)) = present {
            options.drain(start..end);
        }
        let Some(data) = data else { return true };
        let Ok(len) = u16::try_from(data.len()) else { return false };
        options.extend_from_slice(&code.to_be_bytes());
        options.extend_from_slice(&len.to_be_bytes());
        options.extend_from_slice(&data);
        true
    }
}

impl OptionData {
    fn code(&self) -> u16 {
        match self {
            Self::Local(code, _) | Self::Variable(code, _) => *code,
            Self::Nsid => NSID,
            Self::Subnet { .. } => CLIENT_SUBNET,
        }
    }

    /// `None` when it is not known.
    fn data(&self, facts: &QueryFacts<'_>) -> Option<Vec<u8>> {
        match self {
            Self::Local(_, data) => Some(data.clone()),
            Self::Variable(_, variable) => variable.data(facts),
            Self::Nsid => Some(Vec::new()),
            Self::Subnet { v4, v6 } => Some(match facts.client.ip().to_canonical() {
                IpAddr::V4(client) => subnet(1, *v4, &client.octets()),
                IpAddr::V6(client) => subnet(2, *v6, &client.octets()),
            }),
        }
    }
}

impl OptionVariable {
    /// The variable that stands for text in braces; `None` for other text.
    pub fn from_text(text: &str) -> Option<Self> {
        Some(match text.strip_prefix('{')?.strip_suffix('}')? {
            "qname" => Self::QueryName,
            "qtype" => Self::QueryType,
            "client_ip" => Self::ClientIp,
            "client_port" => Self::ClientPort,
            "protocol" => Self::Protocol,
            "server_ip" => Self::ServerIp,
            "server_port" => Self::ServerPort,
            label if label.contains('/') => Self::Metadata,
            _ => return None,
        })
    }

    fn data(self, facts: &QueryFacts<'_>) -> Option<Vec<u8>> {
        match self {
            Self::QueryName => Some(facts.name.as_bytes().to_vec()),
            Self::QueryType => Some(facts.qtype.0.to_be_bytes().to_vec()),
            Self::ClientIp => Some(octets(facts.client.ip())),
            Self::ClientPort => Some(facts.client.port().to_be_bytes().to_vec()),
            Self::Protocol => Some(facts.protocol.as_bytes().to_vec()),
            Self::ServerIp => facts.server.map(|server| octets(server.ip())),
            Self::ServerPort => facts.server.map(|server| server.port().to_be_bytes().to_vec()),
            Self::Metadata => None,
        }
    }
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// Data of a client subnet option: no more octets than `bits` needs, the rest of the last one zero.
fn subnet(family: u16, bits: u8, address: &[u8]) -> Vec<u8> {
    let [high, low] = family.to_be_bytes();
    let mut data = vec![high, low, bits, 0];
    let len = usize::from(bits.div_ceil(8));
    data.extend(address.iter().take(len));
    let unused = len * 8 - usize::from(bits);
    if let Some(last) = data.last_mut().filter(|_| unused > 0) {
        *last &= 0xff << unused;
    }
    data
}

/// Start and end of the first option with a code.
fn position(options: &[u8], code: u16) -> Option<(usize, usize)> {
    let mut start = 0;
    while let Some([c, o, l, e]) = options.get(start..).and_then(<[u8]>::first_chunk) {
        let end = start + OPTION_HEADER_LEN + usize::from(u16::from_be_bytes([*l, *e]));
        if u16::from_be_bytes([*c, *o]) == code {
            return Some((start, end.min(options.len())));
        }
        start = end;
    }
    None
}
