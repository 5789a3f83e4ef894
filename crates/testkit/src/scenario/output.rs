//! Actions of the resolver, kept until a step checks them.

use std::net::SocketAddr;

use resolver::action::{self, Action, Client, Dial, Outbox, SendQuery, Transport, UpstreamConnectionId};
use wire::name::PresentationFormat;

use super::connections::{Connections, Freshness};
use super::environment::Environment;
use super::step::Cause;
use crate::text;

/// One [`Action`] with the octets it refers to.
#[derive(Debug)]
pub(super) enum Output {
    Response {
        client: Client,
        octets: Vec<u8>,
        upstream: Option<SocketAddr>,
        /// As counted.
        length: Option<u32>,
    },
    Query(OutQuery),
    Dial(Dial),
    /// The resolver asks whether the octets sent on a connection are acknowledged.
    Check,
    Close(UpstreamConnectionId),
    Error {
        query: String,
        cause: Cause,
    },
    Loop,
    SharedResult,
}

/// A query that the resolver sent to an upstream.
#[derive(Debug)]
pub(super) struct OutQuery {
    pub(super) query: SendQuery,
    pub(super) transport: Transport,
    pub(super) freshness: Freshness,
    pub(super) octets: Vec<u8>,
}

impl Output {
    pub(super) fn new(
        action: &Action,
        outbox: &Outbox,
        environment: &Environment,
        connections: &mut Connections,
    ) -> Self {
        match action {
            Action::Respond(response) => {
                let octets = outbox.octets(response.message).to_vec();
                let upstream = outbox.upstream_of(response);
                let length = response.info.map(|info| info.response_len);
                Self::Response { client: response.client, octets, upstream, length }
            }
            Action::Dial(dial) => {
                connections.open(*dial);
                Self::Dial(*dial)
            }
            Action::SendQuery(query) => Self::Query(OutQuery {
                query: *query,
                transport: connections.transport(query.connection).unwrap_or(Transport::Tcp),
                freshness: connections.count_query(query.connection),
                octets: outbox.octets(query.message).to_vec(),
            }),
            Action::CheckAcknowledged(check) => {
                connections.request_check(check.connection);
                Self::Check
            }
            Action::Disconnect(connection) => {
                connections.close(*connection);
                Self::Close(*connection)
            }
            Action::ReportError(error) => {
                let name = PresentationFormat(outbox.octets(error.name));
                let query = format!("{} {name} {}", error.rcode, error.qtype);
                Self::Error { query, cause: named(error.cause, environment) }
            }
            Action::LoopDetected(..) => Self::Loop,
            Action::ShareResult(_) => Self::SharedResult,
        }
    }

    pub(super) fn is_error(&self, wanted: &str, reason: &Cause) -> bool {
        matches!(self, Self::Error { query, cause } if query == wanted && cause == reason)
    }

    pub(super) fn format(&self, environment: &Environment) -> String {
        match self {
            Self::Response { client, octets, .. } => {
                format!("response to {}: {}", environment.client_name(*client), format(octets))
            }
            Self::Query(OutQuery { query, transport, freshness, octets }) => {
                let fresh = if *freshness == Freshness::Further { " on a fresh connection" } else { "" };
                let transport = transport_name(*transport);
                let upstream = environment.upstream_name(query.connection.upstream);
                format!("query to {upstream} over {transport}{fresh}: {}", format(octets))
            }
            Self::Dial(dial) => {
                let upstream = environment.upstream_name(dial.connection.upstream);
                format!("dial of {upstream} over {}", transport_name(dial.transport))
            }
            Self::Check => "check of acknowledgment".to_owned(),
            Self::Close(connection) => {
                let upstream = environment.upstream_name(connection.upstream);
                format!("close of connection {} to {upstream}", connection.number)
            }
            Self::Error { query, cause } => format!("error {query} {cause:?}"),
            Self::Loop => "a detected loop".to_owned(),
            Self::SharedResult => "a result for another worker".to_owned(),
        }
    }
}

/// The message in `octets` as text, or why it does not decode.
pub(super) fn format(octets: &[u8]) -> String {
    match text::decode(octets) {
        Ok(message) => text::format(&message),
        Err(error) => error.to_string(),
    }
}

/// `udp` or `tcp`.
pub(super) fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
    }
}

/// The cause with the upstream's name in place of its address.
fn named(cause: action::Cause, environment: &Environment) -> Cause {
    match cause {
        action::Cause::Upstream(failure, transport, addr) => {
            Cause::Upstream(failure, transport, environment.upstream_at(addr).to_owned())
        }
        action::Cause::TooManyConcurrent(limit) => Cause::TooManyConcurrent(limit),
        action::Cause::TooManyInFlight => Cause::TooManyInFlight,
        action::Cause::TooManyWaiters => Cause::TooManyWaiters,
        action::Cause::TooManyPerClient => Cause::TooManyPerClient,
        action::Cause::NoNextDirective(last) => Cause::NoNextDirective(last.to_owned()),
        action::Cause::InvalidName(_) => Cause::InvalidName,
        action::Cause::Template(section, reason) => Cause::Template(section.to_owned(), reason.to_owned()),
    }
}
