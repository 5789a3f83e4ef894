//! Clients: sources of queries, and the resolver itself in their place.

use std::net::{IpAddr, SocketAddr};

use crate::policy::ListenerId;
use crate::transport::Transport;

/// A client's TCP connection, numbered by the worker; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId(pub u64);

impl ConnectionId {
    /// The connections of clients have smaller numbers; from here on, a number stands for a lookup.
    const FIRST_LOOKUP: u64 = 1 << 63;
}

/// A lookup that the resolver makes itself, in place of a client: a number that is never reused,
/// followed by whether its response is counted, the transport of the client and the depth of the
/// lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LookupId(u64);

impl LookupId {
    /// Lookups for lookups: CoreDNS's limit.
    const MAX_DEPTH: u64 = 8;
    const DEPTH_BITS: u32 = 4;
    const OVER_UDP: u64 = 1 << Self::DEPTH_BITS;
    const COUNTED: u64 = Self::OVER_UDP << 1;

    /// The lookup with a number for a query of a client or of another lookup; `None` when lookups
    /// for lookups go too deep.
    pub(crate) fn new(number: u64, client: &Client, is_counted: bool) -> Option<Self> {
        let depth = client.lookup().map_or(0, |lookup| lookup.0 % (1 << Self::DEPTH_BITS)) + 1;
        let over_udp = if client.first_transport() == Transport::Udp { Self::OVER_UDP } else { 0 };
        let counted = if is_counted { Self::COUNTED } else { 0 };
        let number = number << (Self::DEPTH_BITS + 2);
        (depth <= Self::MAX_DEPTH).then_some(Self(number | counted | over_udp | depth))
    }

    fn first_transport(self) -> Transport {
        if self.0 & Self::OVER_UDP == 0 { Transport::Tcp } else { Transport::Udp }
    }
}

/// Source of a query and destination of its response. The resolver returns it unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The listener that received the query.
    pub listener: ListenerId,
    /// The client's address.
    pub peer: SocketAddr,
    /// Destination address of the query and source of the response, for a listener with several.
    pub local: Option<IpAddr>,
    /// The connection, for a client on TCP.
    pub connection: Option<ConnectionId>,
}

impl Client {
    /// The same client, but for a lookup on its behalf. It has no limit on the size of responses.
    pub(crate) fn for_lookup(self, LookupId(id): LookupId) -> Self {
        Self { connection: Some(ConnectionId(ConnectionId::FIRST_LOOKUP | id)), ..self }
    }

    /// The lookup that made the query in place of the client.
    pub(crate) fn lookup(&self) -> Option<LookupId> {
        let ConnectionId(number) = self.connection?;
        number.checked_sub(ConnectionId::FIRST_LOOKUP).map(LookupId)
    }

    /// The transport by which the query came that the client or its lookup is for.
    pub(crate) fn first_transport(&self) -> Transport {
        self.lookup().map_or_else(|| self.transport(), LookupId::first_transport)
    }

    /// The same; `None` for a lookup whose response is not counted.
    pub(crate) fn counted_transport(&self) -> Option<Transport> {
        match self.lookup() {
            None => Some(self.transport()),
            Some(lookup) => (lookup.0 & LookupId::COUNTED != 0).then(|| lookup.first_transport()),
        }
    }

    /// The transport of the query, whose response has no limit of size over TCP.
    pub fn transport(&self) -> Transport {
        if self.connection.is_some() { Transport::Tcp } else { Transport::Udp }
    }
}
