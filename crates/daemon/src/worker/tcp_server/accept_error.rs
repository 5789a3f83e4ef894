//! Errors of `accept`: of one connection, of the node, or of the listener.

use std::io;

use nix::errno::Errno;

/// Failed accepts in a row after which even errors of single connections are followed by a pause.
const MAX_IN_ROW: usize = 8;

/// What follows an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterError {
    /// The next accept: the connection was gone before it was accepted.
    Continue,
    /// A pause, because the next accept would fail as well.
    Pause,
    /// Nothing: the socket will never accept a connection again.
    End,
}

/// The failed accepts of a listener since the last connection or pause.
#[derive(Debug, Default)]
pub(super) struct AcceptErrors {
    in_row: usize,
}

impl AcceptErrors {
    /// A connection was accepted.
    pub(super) fn reset(&mut self) {
        self.in_row = 0;
    }

    /// Decides what follows an error. No error repeats without a pause, whatever its code.
    pub(super) fn record(&mut self, error: &io::Error) -> AfterError {
        self.in_row += 1;
        let code = error.raw_os_error().map(Errno::from_raw);
        match code {
            Some(Errno::EINVAL | Errno::EBADF | Errno::ENOTSOCK) => return AfterError::End,
            // accept(2): errors of the new connection.
            Some(
                Errno::ECONNABORTED
                | Errno::EPROTO
                | Errno::EPERM
                | Errno::ENETDOWN
                | Errno::ENETUNREACH
                | Errno::ENOPROTOOPT
                | Errno::ENONET
                | Errno::EHOSTDOWN
                | Errno::EHOSTUNREACH
                | Errno::EINTR,
            ) if self.in_row < MAX_IN_ROW => return AfterError::Continue,
            _ => {}
        }
        self.in_row = 0;
        AfterError::Pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_error_repeats_without_a_pause() {
        for code in 1..134 {
            let mut errors = AcceptErrors::default();
            let error = io::Error::from_raw_os_error(code);
            let after: Vec<AfterError> = (0..100).map(|_| errors.record(&error)).collect();
            let longest = after.split(|after| *after != AfterError::Continue).map(<[_]>::len).max().unwrap();
            assert!(longest < MAX_IN_ROW, "{error}: {after:?}");
        }
    }

    #[test]
    fn lost_connections_cause_no_pause_and_lacking_resources_do() {
        let mut errors = AcceptErrors::default();
        for (code, wanted) in [
            (Errno::ECONNABORTED, AfterError::Continue),
            (Errno::EHOSTUNREACH, AfterError::Continue),
            (Errno::EMFILE, AfterError::Pause),
            (Errno::ENFILE, AfterError::Pause),
            (Errno::ENOBUFS, AfterError::Pause),
            (Errno::ENOMEM, AfterError::Pause),
            (Errno::EINVAL, AfterError::End),
        ] {
            assert_eq!(errors.record(&io::Error::from_raw_os_error(code as i32)), wanted, "{code}");
            errors.reset();
        }
    }
}
