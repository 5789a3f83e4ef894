//! Connections of a scenario: those that the resolver has opened, and their names.

use std::collections::BTreeMap;

use resolver::action::{Dial, Transport, UpstreamConnectionId};

use crate::text::{TextError, error};

/// What a connection has carried before a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    /// Other queries.
    Used,
    /// Nothing, and no other connection of its transport to the upstream is open.
    Only,
    /// Nothing, and another one is open.
    Further,
}

/// A connection that the resolver has opened.
#[derive(Debug)]
struct OpenedConnection {
    dial: Dial,
    is_established: bool,
    is_closed: bool,
    /// The resolver has asked whether its octets are acknowledged.
    is_check_requested: bool,
    queries: usize,
}

/// All connections that the resolver has opened, in order.
#[derive(Debug, Default)]
pub(super) struct Connections {
    opened: Vec<OpenedConnection>,
    names: BTreeMap<String, UpstreamConnectionId>,
}

impl Connections {
    pub(super) fn open(&mut self, dial: Dial) {
        self.opened.push(OpenedConnection {
            dial,
            is_established: false,
            is_closed: false,
            is_check_requested: false,
            queries: 0,
        });
    }

    pub(super) fn close(&mut self, id: UpstreamConnectionId) {
        if let Some(connection) = self.get_mut(id) {
            connection.is_closed = true;
        }
    }

    /// The resolver asks whether the octets sent on a connection are acknowledged.
    pub(super) fn request_check(&mut self, id: UpstreamConnectionId) {
        if let Some(connection) = self.get_mut(id) {
            connection.is_check_requested = true;
        }
    }

    /// Takes the request; false when there is none.
    pub(super) fn take_check(&mut self, id: UpstreamConnectionId) -> bool {
        let take = |one: &mut OpenedConnection| std::mem::take(&mut one.is_check_requested);
        self.get_mut(id).is_some_and(take)
    }

    /// In order of opening.
    pub(super) fn all(&self) -> Vec<UpstreamConnectionId> {
        self.opened.iter().map(|one| one.dial.connection).collect()
    }

    /// Counts a query on a connection.
    pub(super) fn count_query(&mut self, id: UpstreamConnectionId) -> Freshness {
        let transport = self.transport(id);
        let is_other = |one: &OpenedConnection| {
            let Dial { connection, transport: other } = one.dial;
            connection.upstream == id.upstream && connection != id && Some(other) == transport
        };
        let has_other = self.opened.iter().any(|one| is_other(one) && !one.is_closed);
        let Some(connection) = self.get_mut(id) else { return Freshness::Used };
        connection.queries += 1;
        match (connection.queries, has_other) {
            (1, true) => Freshness::Further,
            (1, false) => Freshness::Only,
            _ => Freshness::Used,
        }
    }

    pub(super) fn transport(&self, id: UpstreamConnectionId) -> Option<Transport> {
        let opened = self.opened.iter().find(|one| one.dial.connection == id);
        opened.map(|one| one.dial.transport)
    }

    /// Marks a connection as established; false when it was before or is a UDP socket.
    pub(super) fn establish(&mut self, id: UpstreamConnectionId) -> bool {
        self.get_mut(id).is_some_and(|one| {
            let was_established = std::mem::replace(&mut one.is_established, true);
            !was_established && one.dial.transport == Transport::Tcp
        })
    }

    /// The connection of that name.
    pub(super) fn named(&self, name: &str) -> Result<UpstreamConnectionId, TextError> {
        let missing = || TextError(format!("no connection is named `{name}`"));
        self.names.get(name).copied().ok_or_else(missing)
    }

    /// Names a connection, or checks that it is the one of that name.
    pub(super) fn name(&mut self, name: &str, id: UpstreamConnectionId) -> Result<(), TextError> {
        let known = self.names.get(name).copied();
        let other = self.names.iter().find(|(_, named)| **named == id).map(|(name, _)| name.clone());
        match (known, other) {
            (Some(known), _) if known == id => Ok(()),
            (None, None) => {
                self.names.insert(name.to_owned(), id);
                Ok(())
            }
            (_, Some(other)) => error(format!("expected connection `{name}`\nreceived `{other}`")),
            (Some(_), None) => error(format!("expected connection `{name}`\nreceived a new one")),
        }
    }

    fn get_mut(&mut self, id: UpstreamConnectionId) -> Option<&mut OpenedConnection> {
        self.opened.iter_mut().find(|one| one.dial.connection == id)
    }
}
