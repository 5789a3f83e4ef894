//! Query messages.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use resolver::action::Transport;

use super::error::ClientError;

/// Transport, flags and OPT of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryOptions {
    /// Transport.
    pub transport: Transport,
    /// RD.
    pub recursion_desired: bool,
    /// AD: the client understands it (RFC 6840 section 5.7).
    pub authentic_data: bool,
    /// CD.
    pub checking_disabled: bool,
    /// UDP payload size of an OPT.
    pub edns: Option<u16>,
    /// DO; adds an OPT with 1232 octets if there is none.
    pub dnssec_ok: bool,
}

impl Default for QueryOptions {
    /// [`QueryOptions::STUB`].
    fn default() -> Self {
        Self::STUB
    }
}

impl QueryOptions {
    /// A stub resolver's: UDP, RD, no OPT.
    pub const STUB: Self = Self {
        transport: Transport::Udp,
        recursion_desired: true,
        authentic_data: false,
        checking_disabled: false,
        edns: None,
        dnssec_ok: false,
    };

    /// The defaults over TCP.
    pub fn tcp() -> Self {
        Self { transport: Transport::Tcp, ..Self::default() }
    }

    /// A query for a name in presentation form, absolute with or without the trailing dot.
    ///
    /// # Errors
    /// [`ClientError::InvalidName`].
    pub fn message(&self, id: u16, name: &str, record_type: RecordType) -> Result<Message, ClientError> {
        let invalid = |_| ClientError::InvalidName(name.to_owned());
        let mut absolute = Name::from_ascii(name).map_err(invalid)?;
        absolute.set_fqdn(true);
        let mut query = Message::new(id, MessageType::Query, OpCode::Query);
        query.metadata.recursion_desired = self.recursion_desired;
        query.metadata.authentic_data = self.authentic_data;
        query.metadata.checking_disabled = self.checking_disabled;
        query.queries.push(Query::query(absolute, record_type));
        if self.edns.is_some() || self.dnssec_ok {
            let mut edns = Edns::new();
            edns.set_max_payload(self.edns.unwrap_or(1232)).set_dnssec_ok(self.dnssec_ok);
            query.edns = Some(edns);
        }
        Ok(query)
    }
}

pub(super) fn random_id() -> u16 {
    Message::query().metadata.id
}
