//! Socket errors as failures of an upstream attempt.

use std::io;

use resolver::action::AttemptFailure;

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
