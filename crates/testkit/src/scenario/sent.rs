//! What the resolver wanted done, kept until a step asks for it.

use resolver::action::{self, Action, AttemptId, Client, Outbox, SendQuery, Transport};
use wire::name::PresentationFormat;

use super::environment::Environment;
use super::step::Cause;
use crate::text;

/// One action with the octets it pointed to.
#[derive(Debug)]
pub(super) enum Sent {
    Answer { client: Client, octets: Vec<u8> },
    Ask { ask: SendQuery, octets: Vec<u8> },
    Forget(AttemptId),
    Distrust(AttemptId),
    Trouble { query: String, cause: Cause },
    Loop,
    Relay,
}

impl Sent {
    pub(super) fn new(action: &Action, outbox: &Outbox, environment: &Environment) -> Self {
        match action {
            Action::Respond(answered) => {
                Self::Answer { client: answered.client, octets: outbox.octets(answered.message).to_vec() }
            }
            Action::SendQuery(ask) => Self::Ask { ask: *ask, octets: outbox.octets(ask.message).to_vec() },
            Action::CancelAttempt(attempt) => Self::Forget(*attempt),
            Action::QuarantineConnection(attempt) => Self::Distrust(*attempt),
            Action::ReportError(trouble) => {
                let name = PresentationFormat(outbox.octets(trouble.name));
                let query = format!("{} {name} {}", trouble.rcode, trouble.qtype);
                Self::Trouble { query, cause: told(trouble.cause, environment) }
            }
            Action::LoopDetected(..) => Self::Loop,
            Action::ShareResult(_) => Self::Relay,
        }
    }

    pub(super) fn is_trouble(&self, wanted: &str, why: &Cause) -> bool {
        matches!(self, Self::Trouble { query, cause } if query == wanted && cause == why)
    }

    pub(super) fn show(&self, environment: &Environment) -> String {
        match self {
            Self::Answer { client, octets } => {
                format!("answer to {}: {}", environment.client_name(*client), show(octets))
            }
            Self::Ask { ask, octets } => {
                let fresh = if ask.fresh { " on a fresh connection" } else { "" };
                let how = transport(ask.transport);
                let upstream = environment.upstream_name(ask.upstream);
                format!("question to {upstream} by {how}{fresh}: {}", show(octets))
            }
            Self::Forget(attempt) => format!("forget attempt {}", attempt.0),
            Self::Distrust(attempt) => format!("distrust attempt {}", attempt.0),
            Self::Trouble { query, cause } => format!("trouble {query} {cause:?}"),
            Self::Loop => "a loop".to_owned(),
            Self::Relay => "an outcome for another worker".to_owned(),
        }
    }
}

/// The message in `octets`, or why there is none.
pub(super) fn show(octets: &[u8]) -> String {
    match text::decode(octets) {
        Ok(message) => text::format(&message),
        Err(error) => error.to_string(),
    }
}

/// A transport as scenarios call it.
pub(super) fn transport(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
    }
}

fn told(cause: action::Cause, environment: &Environment) -> Cause {
    match cause {
        action::Cause::Upstream(failure, transport, addr) => {
            Cause::Upstream(failure, transport, environment.upstream_at(addr).to_owned())
        }
        action::Cause::TooManyConcurrent(limit) => Cause::TooManyConcurrent(limit),
        action::Cause::TooManyInFlight => Cause::TooManyInFlight,
        action::Cause::TooManyWaiters => Cause::TooManyWaiters,
        action::Cause::TooManyOfClient => Cause::TooManyOfClient,
        action::Cause::NoForward => Cause::NoForward,
    }
}
