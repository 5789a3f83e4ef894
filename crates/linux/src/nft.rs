//! nf_tables over netlink: atomic batches of tables, chains and rules.

mod address;
mod error;
mod expression;
mod rule;
mod set;

use std::io;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, Hook, InetHookNumber, NfTablesMessage, RuleAttribute, RuleMessage,
    SetElementMessage, SetMessage, TableAttribute, TableMessage,
};
use netlink_packet_netfilter::none::ControlMessage;
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterProtoFamily};
use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::SndBufForce;

pub(crate) use address::{Family, Side};
pub use error::FilterError;
pub(crate) use error::classify;
pub(crate) use expression::SetOperation;
pub(crate) use rule::{Key, Mark, Rule};
pub(crate) use set::{Element, Set};

/// NFNL_SUBSYS_NFTABLES, announced at the start of a batch.
const SUBSYSTEM: u16 = 10;
/// NF_ACCEPT, the policy of our chains.
const ACCEPT: u32 = 1;

/// Octets of a datagram that the default send buffer (net.core.wmem_default) holds.
const USUAL_LEN: usize = 64 << 10;

/// The name of no table: nft(8) accepts no spaces.
const ABSENT_TABLE: &str = "nodelocaldns table that does not exist";

/// A chain and its rules, in order.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    pub(crate) name: String,
    /// Absent for a chain that rules continue in.
    pub(crate) hook: Option<ChainHook>,
    pub(crate) rules: Vec<Rule>,
}

/// Where the packets of a base chain come from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChainHook {
    /// `filter` or `nat`.
    pub(crate) chain_type: &'static str,
    pub(crate) hook: InetHookNumber,
    pub(crate) priority: i32,
}

/// A netfilter netlink socket, opened for the first use and kept for the next ones.
#[derive(Debug, Default)]
pub(crate) struct NftSocket {
    kept: Option<Socket>,
}

/// An atomic batch of changes to tables of the family `inet`.
pub(crate) struct Batch {
    messages: Vec<NetlinkMessage<NetfilterMessage>>,
    /// Number of sets, each of which has an ID in the batch.
    sets: u32,
}

impl Batch {
    pub(crate) fn new() -> Self {
        let mut batch = Self { messages: Vec::new(), sets: 0 };
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

    pub(crate) fn add_chain(&mut self, table: &str, chain: &Chain) {
        let mut attributes =
            vec![ChainAttribute::Table(table.to_owned()), ChainAttribute::Name(chain.name.clone())];
        if let Some(ChainHook { chain_type, hook, priority }) = chain.hook {
            let hook = vec![Hook::Number(hook.into()), Hook::Priority(priority.cast_unsigned())];
            attributes.extend([
                ChainAttribute::Hook(hook),
                ChainAttribute::Policy(ACCEPT),
                ChainAttribute::Type(chain_type.to_owned()),
            ]);
        }
        self.change(NLM_F_CREATE, NfTablesMessage::NewChain(ChainMessage { attributes }));
    }

    pub(crate) fn add_set(&mut self, table: &str, set: &Set) {
        self.sets += 1;
        let attributes = set.attributes(table, self.sets);
        self.change(NLM_F_CREATE, NfTablesMessage::NewSet(SetMessage { attributes }));
    }

    /// Removes all elements of a set.
    pub(crate) fn flush_set(&mut self, table: &str, set: &Set) {
        let attributes = set.every_element(table);
        self.change(0, NfTablesMessage::DeleteSetElement(SetElementMessage { attributes }));
    }

    /// Adds an element to a set, unless it exists.
    pub(crate) fn add_element(&mut self, table: &str, set: &Set, element: &Element) {
        let attributes = set.with_element(table, element);
        self.change(NLM_F_CREATE, NfTablesMessage::NewSetElement(SetElementMessage { attributes }));
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
    pub(crate) fn commit(mut self, socket: &mut NftSocket) -> io::Result<()> {
        if let Some(last) = self.messages.last_mut() {
            last.header.flags |= NLM_F_ACK;
        }
        self.control(ControlMessage::BatchEnd);
        let mut acknowledged = false;
        socket.exchange(&mut self.messages, |reply| {
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

    /// Whether the kernel accepts the batch, which is not put in force: it ends with a change that
    /// fails.
    ///
    /// # Errors
    ///
    /// The first error about another change.
    pub(crate) fn rehearse(mut self, socket: &mut NftSocket) -> io::Result<()> {
        self.delete_table(ABSENT_TABLE);
        let last = u32::try_from(self.messages.len()).unwrap_or(u32::MAX);
        self.control(ControlMessage::BatchEnd);
        let (mut first_error, mut is_last_rejected) = (None, false);
        socket.exchange(&mut self.messages, |reply| {
            if let NetlinkPayload::Error(error) = reply
                && error.code.is_some()
            {
                // The header of the message in question, with its number.
                let number = error.header.get(8..).and_then(|octets| octets.first_chunk().copied());
                match number.map(u32::from_ne_bytes) {
                    Some(number) if number == last => is_last_rejected = true,
                    _ => first_error = first_error.take().or_else(|| Some(error.to_io())),
                }
            }
            Ok(())
        })?;
        match (first_error, is_last_rejected) {
            (Some(error), _) => Err(error),
            (None, true) => Ok(()),
            (None, false) => Err(io::ErrorKind::UnexpectedEof.into()),
        }
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

fn inet(message: NfTablesMessage) -> NetfilterMessage {
    NetfilterMessage::new(NetfilterHeader::new(NetfilterProtoFamily::Inet, 0, 0), message)
}

impl NftSocket {
    /// Sends the messages in one datagram and passes every reply to `take`.
    fn exchange(
        &mut self,
        messages: &mut [NetlinkMessage<NetfilterMessage>],
        mut take: impl FnMut(NetlinkPayload<NetfilterMessage>) -> io::Result<()>,
    ) -> io::Result<()> {
        self.exchange_octets(&serialize(messages), |datagram| {
            let mut rest = datagram;
            while !rest.is_empty() {
                let reply = NetlinkMessage::deserialize(rest).map_err(io::Error::other)?;
                // Messages are aligned to four octets.
                let length = usize::try_from(reply.header.length).unwrap_or(usize::MAX).max(1);
                rest =
                    length.checked_next_multiple_of(4).and_then(|next| rest.get(next..)).unwrap_or_default();
                take(reply.payload)?;
            }
            Ok(())
        })
    }

    /// Sends a datagram of messages and passes every datagram of replies to `take`.
    ///
    /// The kernel processes them during the send call, so that all replies are queued when it
    /// returns, and reading one part of a dump queues the next: no call waits.
    pub(crate) fn exchange_octets(
        &mut self,
        octets: &[u8],
        mut take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let socket = match self.kept.take() {
            Some(socket) => socket,
            None => open()?,
        };
        if octets.len() > USUAL_LEN {
            // Needs NET_ADMIN, as the changes do. On a failure the send call fails, too (EMSGSIZE).
            setsockopt(&socket, SndBufForce, &octets.len()).ok();
        }
        if socket.send_to(octets, &SocketAddr::new(0, 0), 0)? != octets.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        loop {
            match socket.recv_from_full() {
                Ok((replies, _)) => take(&replies)?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        // After a failure, unread replies are closed with the socket.
        self.kept = Some(socket);
        Ok(())
    }
}

fn open() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    socket.set_non_blocking(true)?;
    Ok(socket)
}

fn serialize(messages: &mut [NetlinkMessage<NetfilterMessage>]) -> Vec<u8> {
    let mut octets = Vec::new();
    for (message, number) in messages.iter_mut().zip(1..) {
        message.header.sequence_number = number;
        message.finalize();
        let start = octets.len();
        octets.resize(start + message.buffer_len(), 0);
        message.serialize(octets.get_mut(start..).unwrap_or_default());
    }
    octets
}
