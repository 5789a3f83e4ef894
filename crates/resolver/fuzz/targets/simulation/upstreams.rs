//! Events of upstreams: what arrives on their connections, and how these begin and end.

use resolver::action::{AttemptFailure, Transport};

use super::input::Input;
use super::messages::{self, Kind, Message};
use super::{Connection, Open, Simulation};

impl Simulation {
    /// A response to a query on a connection.
    pub(super) fn respond(&mut self, input: &mut Input<'_>) {
        let Some(connection) = self.choose(input, |one| !one.unanswered.is_empty()) else { return };
        self.establish_connection(connection);
        let Some(open) = self.open.get_mut(&connection) else { return };
        let Some(index) = input.index(open.unanswered.len()) else { return };
        let id = *open.unanswered.keys().nth(index).unwrap();
        let query = open.unanswered[&id].clone();
        let kind = input.choose(Kind::ALL);
        let ttl = input.choose([30, 0, 1, 5, 300, 86_400, 0x8000_0000, u32::MAX]);
        let query = Message::read(&query);
        let token = self.responses.sent(self.now, &query, kind, ttl);
        let mut message = messages::response(&query, kind, token, ttl);
        match input.octet() {
            // Another question, which must not be taken for the response.
            1 => message[query.question.len() + 11 - 3] ^= 0x40,
            // Octets behind the last record.
            2 => message.extend([0; 3]),
            _ => {
                self.open.get_mut(&connection).unwrap().unanswered.remove(&id);
            }
        }
        let (worker, id) = connection;
        self.call(worker, |resolver, now, outbox| resolver.on_response(now, id, &message, outbox));
    }

    /// A message that matches no query, or none at all.
    pub(super) fn misbehave(&mut self, input: &mut Input<'_>) {
        let Some(connection) = self.choose(input, |one| one.is_established) else { return };
        let unanswered = &self.open[&connection].unanswered;
        let unused = (0..=u16::MAX).find(|id| !unanswered.contains_key(id)).unwrap();
        let known = unanswered.keys().next().copied().unwrap_or(unused);
        let id = if input.octet() & 1 == 1 { known } else { unused };
        let mut message = id.to_be_bytes().to_vec();
        message.extend((0..input.octet() % 40).map(|_| input.octet()));
        // Its records would be taken for a response of the upstream: none that can be read.
        if message.len() > 11 {
            message[6..12].fill(0);
        }
        let (worker, id) = connection;
        self.call(worker, |resolver, now, outbox| {
            resolver.on_partial_message(now, id, outbox);
            resolver.on_response(now, id, &message, outbox);
        });
    }

    pub(super) fn disconnect(&mut self, input: &mut Input<'_>) {
        let Some(connection) = self.choose(input, |_| true) else { return };
        let open = self.open.remove(&connection).unwrap();
        let reasons = if open.is_established {
            [AttemptFailure::Closed, AttemptFailure::Refused, AttemptFailure::Local]
        } else {
            [AttemptFailure::Refused, AttemptFailure::DialTimedOut, AttemptFailure::Unreachable]
        };
        let (reason, (worker, id)) = (input.choose(reasons), connection);
        self.call(worker, |resolver, now, outbox| resolver.on_disconnected(now, id, reason, outbox));
    }

    pub(super) fn establish(&mut self, input: &mut Input<'_>) {
        if let Some(connection) = self.choose(input, |one| !one.is_established) {
            self.establish_connection(connection);
        }
    }

    fn establish_connection(&mut self, connection: Connection) {
        let (worker, id) = connection;
        if let Some(one) = self.open.get_mut(&connection).filter(|one| !one.is_established) {
            one.is_established = true;
            self.call(worker, |resolver, now, outbox| resolver.on_connected(now, id, outbox));
        }
    }

    /// Octets of a connection are lost, or a query is not written.
    pub(super) fn lose(&mut self, input: &mut Input<'_>) {
        let Some(connection) = self.choose(input, |_| true) else { return };
        let (worker, id) = connection;
        let open = self.open.get_mut(&connection).unwrap();
        match (input.octet() % 3, open.unanswered.keys().next_back().copied()) {
            (0, Some(message)) if open.is_established => {
                open.unanswered.remove(&message);
                let unsent = (message, AttemptFailure::Local);
                self.call(worker, |resolver, now, outbox| resolver.on_unsent(now, id, unsent, outbox));
            }
            (1, _) => self.call(worker, |resolver, now, outbox| resolver.on_partial_message(now, id, outbox)),
            _ if open.transport == Transport::Tcp => {
                self.call(worker, |resolver, now, outbox| resolver.on_unacknowledged(now, id, outbox));
            }
            _ => {}
        }
    }

    /// A connection for which `is_candidate` holds.
    fn choose(&self, input: &mut Input<'_>, is_candidate: impl Fn(&Open) -> bool) -> Option<Connection> {
        let candidates: Vec<Connection> =
            self.open.iter().filter(|(_, one)| is_candidate(one)).map(|(id, _)| *id).collect();
        input.index(candidates.len()).map(|index| candidates[index])
    }
}
