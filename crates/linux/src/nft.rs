//! nf_tables over netlink: atomic batches, and the few expressions of our rules.
//!
//! Attributes are in the kernel's order, so that a listed rule equals the rule that was sent.

use std::fmt;
use std::io;
use std::net::IpAddr;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, Cmp, DataAttribute, ExpressionAttribute, Expressions, Hook, InetHookNumber,
    ListAttribute, Meta, MetaKey, NfTablesMessage, Operator, Payload, Register, RuleAttribute, RuleMessage,
    TableAttribute, TableMessage,
};
use netlink_packet_netfilter::none::ControlMessage;
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily,
};
use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;

/// NFNL_SUBSYS_NFTABLES, announced at the start of a batch.
const SUBSYSTEM: u16 = 10;
/// NF_ACCEPT, the policy of our chains.
const ACCEPT: u32 = 1;
/// Payload bases (`enum nft_payload_bases`).
const NETWORK_HEADER: u32 = 1;
const TRANSPORT_HEADER: u32 = 2;

/// Why the packet filter is not as configured. Each text is one line and includes the remedy.
#[derive(Debug)]
pub enum FilterError {
    /// `CAP_NET_ADMIN` in the network namespace is missing.
    NoPermission,
    /// The kernel lacks nf_tables, or a module that the rules need.
    NoKernelSupport,
    /// Any other kernel error.
    Kernel {
        /// E.g. `install table nodelocaldns`.
        action: String,
        /// The kernel's error.
        error: io::Error,
    },
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPermission => f.write_str(
                "no permission to change the packet filter: give the process CAP_NET_ADMIN \
                 (securityContext.capabilities.add: [NET_ADMIN]) or run with -setupiptables=false",
            ),
            Self::NoKernelSupport => f.write_str(
                "the kernel has no nf_tables with notrack: load nf_tables and nft_ct on the node (modprobe nft_ct) or run \
                 with -setupiptables=false; answers are the same, conntrack keeps an entry per query",
            ),
            Self::Kernel { action, error } => write!(f, "cannot {action}: {error}"),
        }
    }
}

impl std::error::Error for FilterError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Kernel { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// Source or destination of a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    Source,
    Destination,
}

/// A base chain of type `filter`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BaseChain {
    pub(crate) name: &'static str,
    pub(crate) hook: InetHookNumber,
    pub(crate) priority: i32,
}

/// The expressions of one rule, evaluated in order until one does not match.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Rule {
    expressions: Vec<ListAttribute<ExpressionAttribute>>,
    comment: &'static str,
}

impl Rule {
    pub(crate) fn new(comment: &'static str) -> Self {
        Self { expressions: Vec::new(), comment }
    }

    /// Matches the source or destination address.
    pub(crate) fn address(self, side: Side, address: IpAddr) -> Self {
        let (protocol, offset, octets) = match (address, side) {
            (IpAddr::V4(address), Side::Source) => (libc::NFPROTO_IPV4, 12, address.octets().to_vec()),
            (IpAddr::V4(address), Side::Destination) => (libc::NFPROTO_IPV4, 16, address.octets().to_vec()),
            (IpAddr::V6(address), Side::Source) => (libc::NFPROTO_IPV6, 8, address.octets().to_vec()),
            (IpAddr::V6(address), Side::Destination) => (libc::NFPROTO_IPV6, 24, address.octets().to_vec()),
        };
        self.meta_is(MetaKey::Nfproto, protocol).payload_is(NETWORK_HEADER, offset, octets)
    }

    /// Matches the transport protocol and its source or destination port.
    pub(crate) fn port(self, protocol: libc::c_int, side: Side, port: u16) -> Self {
        let offset = match side {
            Side::Source => 0,
            Side::Destination => 2,
        };
        let octets = port.to_be_bytes().to_vec();
        self.meta_is(MetaKey::L4Proto, protocol).payload_is(TRANSPORT_HEADER, offset, octets)
    }

    /// Excludes the packet from conntrack.
    pub(crate) fn notrack(mut self) -> Self {
        let name = ExpressionAttribute::Name("notrack".to_owned());
        self.expressions.push(ListAttribute::Element(vec![name]));
        self
    }

    /// Protocol numbers are octets in the kernel and `c_int` in libc.
    fn meta_is(self, key: MetaKey, value: libc::c_int) -> Self {
        let [low, ..] = value.to_le_bytes();
        self.with(Expressions::Meta(vec![Meta::Key(key), Meta::DestinationRegister(Register::Reg1)]))
            .equals(vec![low])
    }

    fn payload_is(self, base: u32, offset: u32, octets: Vec<u8>) -> Self {
        self.with(Expressions::Payload(vec![
            Payload::DestinationRegister(Register::Reg1),
            Payload::Base(base),
            Payload::Offset(offset),
            Payload::Len(u32::try_from(octets.len()).unwrap_or(u32::MAX)),
        ]))
        .equals(octets)
    }

    fn equals(self, octets: Vec<u8>) -> Self {
        self.with(Expressions::Cmp(vec![
            Cmp::SourceRegister(Register::Reg1),
            Cmp::Op(Operator::Equal),
            Cmp::Data(DataAttribute::Value(octets)),
        ]))
    }

    fn with(mut self, expression: Expressions) -> Self {
        self.expressions.push(expression.into());
        self
    }

    /// The comment in the form that `nft list` displays: type 0, a length, a text that ends in
    /// zero.
    fn user_data(&self) -> Vec<u8> {
        let length = u8::try_from(self.comment.len() + 1).unwrap_or(u8::MAX);
        let text = self.comment.bytes().take(usize::from(length) - 1);
        [0, length].into_iter().chain(text).chain([0]).collect()
    }
}

/// An atomic batch of changes to tables of the family `inet`.
pub(crate) struct Batch {
    messages: Vec<NetlinkMessage<NetfilterMessage>>,
}

impl Batch {
    pub(crate) fn new() -> Self {
        let mut batch = Self { messages: Vec::new() };
        batch.control(ControlMessage::BatchBegin);
        batch
    }

    /// Creates the table unless it exists.
    pub(crate) fn add_table(&mut self, table: &str) {
        let attributes = vec![TableAttribute::Name(table.to_owned())];
        self.change(NLM_F_CREATE, NfTablesMessage::NewTable(TableMessage { attributes }));
    }

    /// Deletes the table with its content; the batch fails when there is none.
    pub(crate) fn delete_table(&mut self, table: &str) {
        let attributes = vec![TableAttribute::Name(table.to_owned())];
        self.change(0, NfTablesMessage::DeleteTable(TableMessage { attributes }));
    }

    pub(crate) fn add_chain(&mut self, table: &str, chain: BaseChain) {
        let hook = vec![Hook::Number(chain.hook.into()), Hook::Priority(chain.priority.cast_unsigned())];
        let attributes = vec![
            ChainAttribute::Table(table.to_owned()),
            ChainAttribute::Name(chain.name.to_owned()),
            ChainAttribute::Hook(hook),
            ChainAttribute::Policy(ACCEPT),
            ChainAttribute::Type("filter".to_owned()),
        ];
        self.change(NLM_F_CREATE, NfTablesMessage::NewChain(ChainMessage { attributes }));
    }

    pub(crate) fn add_rule(&mut self, table: &str, chain: &str, rule: &Rule) {
        let attributes = vec![
            RuleAttribute::Table(table.to_owned()),
            RuleAttribute::Chain(chain.to_owned()),
            RuleAttribute::Expressions(rule.expressions.clone()),
            RuleAttribute::UserData(rule.user_data()),
        ];
        self.change(NLM_F_CREATE | NLM_F_APPEND, NfTablesMessage::NewRule(RuleMessage { attributes }));
    }

    /// Sends the batch to the kernel.
    ///
    /// # Errors
    ///
    /// The first error that the kernel reports; nothing is changed then.
    pub(crate) fn commit(mut self) -> io::Result<()> {
        if let Some(last) = self.messages.last_mut() {
            last.header.flags |= NLM_F_ACK;
        }
        self.control(ControlMessage::BatchEnd);
        let mut acknowledged = false;
        exchange(&mut self.messages, |reply| {
            if let NetlinkPayload::Error(error) = reply {
                match error.code {
                    None => acknowledged = true,
                    Some(_) => return Err(error.to_io()),
                }
            }
            Ok(())
        })?;
        if acknowledged { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn control(&mut self, message: ControlMessage) {
        let header = NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, SUBSYSTEM);
        self.push(0, NetfilterMessage::new(header, message));
    }

    fn change(&mut self, flags: u16, message: NfTablesMessage) {
        self.push(flags, inet(message));
    }

    fn push(&mut self, flags: u16, message: NetfilterMessage) {
        let mut message = NetlinkMessage::from(message);
        message.header.flags = NLM_F_REQUEST | flags;
        self.messages.push(message);
    }
}

/// Whether each chain of the table has exactly these rules, in order.
///
/// # Errors
///
/// The kernel's error.
pub(crate) fn has_rules(table: &str, expected: &[(&str, Vec<Rule>)]) -> io::Result<bool> {
    let attributes = vec![RuleAttribute::Table(table.to_owned())];
    let mut request = NetlinkMessage::from(inet(NfTablesMessage::GetRule(RuleMessage { attributes })));
    request.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut listed = Vec::new();
    exchange(&mut [request], |reply| match reply {
        NetlinkPayload::InnerMessage(NetfilterMessage {
            inner: NetfilterMessageInner::NfTables(NfTablesMessage::NewRule(rule)),
            ..
        }) => {
            listed.push(rule.attributes);
            Ok(())
        }
        NetlinkPayload::Error(error) if error.code.is_some() => Err(error.to_io()),
        _ => Ok(()),
    })?;
    let is_in_chain = |attributes: &[RuleAttribute], chain: &str| {
        attributes.contains(&RuleAttribute::Table(table.to_owned()))
            && attributes.contains(&RuleAttribute::Chain(chain.to_owned()))
    };
    Ok(expected.iter().all(|(chain, rules)| {
        let listed = listed.iter().filter(|attributes| is_in_chain(attributes, chain));
        let listed = listed.map(|attributes| {
            attributes.iter().find_map(|attribute| match attribute {
                RuleAttribute::Expressions(expressions) => Some(expressions),
                _ => None,
            })
        });
        listed.eq(rules.iter().map(|rule| Some(&rule.expressions)))
    }))
}

fn inet(message: NfTablesMessage) -> NetfilterMessage {
    NetfilterMessage::new(NetfilterHeader::new(NetfilterProtoFamily::Inet, 0, 0), message)
}

/// Sends the messages in one datagram and passes every reply to `take`.
///
/// The kernel processes them during the send call, so that all replies are queued when it returns,
/// and reading one part of a dump queues the next: no call waits.
fn exchange(
    messages: &mut [NetlinkMessage<NetfilterMessage>],
    mut take: impl FnMut(NetlinkPayload<NetfilterMessage>) -> io::Result<()>,
) -> io::Result<()> {
    let mut octets = Vec::new();
    for (message, number) in messages.iter_mut().zip(1..) {
        message.header.sequence_number = number;
        message.finalize();
        let start = octets.len();
        octets.resize(start + message.buffer_len(), 0);
        message.serialize(octets.get_mut(start..).unwrap_or_default());
    }
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    socket.set_non_blocking(true)?;
    if socket.send_to(&octets, &SocketAddr::new(0, 0), 0)? != octets.len() {
        return Err(io::ErrorKind::WriteZero.into());
    }
    loop {
        let replies = match socket.recv_from_full() {
            Ok((replies, _)) => replies,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut rest = replies.as_slice();
        while !rest.is_empty() {
            let reply = NetlinkMessage::deserialize(rest).map_err(io::Error::other)?;
            // Messages are aligned to four octets.
            let length = usize::try_from(reply.header.length).unwrap_or(usize::MAX).max(1);
            rest = length.checked_next_multiple_of(4).and_then(|next| rest.get(next..)).unwrap_or_default();
            take(reply.payload)?;
        }
    }
}

/// Classifies an error by its remedy. `enoent_is_missing_module` is true where ENOENT can only mean
/// that the kernel lacks an expression or chain type.
pub(crate) fn classify(action: String, error: io::Error, enoent_is_missing_module: bool) -> FilterError {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EPERM | Errno::EACCES) => FilterError::NoPermission,
        Some(Errno::EPROTONOSUPPORT | Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT) => {
            FilterError::NoKernelSupport
        }
        Some(Errno::ENOENT) if enoent_is_missing_module => FilterError::NoKernelSupport,
        _ => FilterError::Kernel { action, error },
    }
}
