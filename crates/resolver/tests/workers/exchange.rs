//! Messages to a resolver, and its actions in response.

use std::net::{Ipv4Addr, SocketAddr};

use resolver::action::{Action, Client, Dial, Outbox, SendQuery, ShareResult, UpstreamConnectionId};
use resolver::policy::ListenerId;
use testkit::client::QueryOptions;
use testkit::{MessageType, RecordType, text};

/// An upstream query and its message.
pub(crate) type SentQuery = (SendQuery, Vec<u8>);

/// The actions of one call.
#[derive(Default)]
pub(crate) struct Actions {
    pub(crate) responses: Vec<String>,
    pub(crate) queries: Vec<SentQuery>,
    pub(crate) shared: Vec<ShareResult>,
    pub(crate) dials: Vec<Dial>,
    pub(crate) closed: Vec<UpstreamConnectionId>,
}

impl From<&Outbox> for Actions {
    fn from(outbox: &Outbox) -> Self {
        let mut actions = Self::default();
        for action in &outbox.actions {
            match action {
                Action::Respond(response) => {
                    let message = text::decode(outbox.octets(response.message)).unwrap();
                    actions.responses.push(text::format(&message));
                }
                Action::SendQuery(query) => {
                    actions.queries.push((*query, outbox.octets(query.message).to_vec()));
                }
                Action::ShareResult(shared) => actions.shared.push(shared.clone()),
                Action::Dial(dial) => actions.dials.push(*dial),
                Action::Disconnect(connection) => actions.closed.push(*connection),
                _ => {}
            }
        }
        actions
    }
}

pub(crate) fn client() -> Client {
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000));
    Client { listener: ListenerId(0), peer, local: None, connection: None }
}

/// A client's query for A.
pub(crate) fn query(name: &str) -> Vec<u8> {
    text::encode(&QueryOptions::default().message(4711, name, RecordType::A).unwrap()).unwrap()
}

/// True for an upstream query for a name that begins with `label`.
pub(crate) fn is_for((_, query): &SentQuery, label: &str) -> bool {
    query.get(13..).is_some_and(|name| name.starts_with(label.as_bytes()))
}

/// The response to an upstream's `query`, with `words`.
pub(crate) fn response(query: &[u8], words: &[&str]) -> Vec<u8> {
    let mut response = text::decode(query).unwrap();
    response.metadata.message_type = MessageType::Response;
    text::encode(&text::parse(words, response).unwrap()).unwrap()
}
