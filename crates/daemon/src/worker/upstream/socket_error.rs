//! Socket errors as failures of an upstream attempt.

use std::io;

use resolver::action::AttemptFailure;

/// The failure of a dial: a connection that is closed before it is established has failed in the
/// TLS handshake.
pub(super) fn dial_failure(error: &io::Error) -> AttemptFailure {
    match attempt_failure(error) {
        AttemptFailure::Closed => AttemptFailure::Handshake,
        failure => failure,
    }
}

pub(super) fn attempt_failure(error: &io::Error) -> AttemptFailure {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => AttemptFailure::Refused,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => AttemptFailure::Unreachable,
        io::ErrorKind::TimedOut => AttemptFailure::DialTimedOut,
        io::ErrorKind::InvalidData => AttemptFailure::Handshake,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => AttemptFailure::Closed,
        _ if linux::is_packet_filter_reject(error) => AttemptFailure::Filtered,
        _ => AttemptFailure::Local,
    }
}
