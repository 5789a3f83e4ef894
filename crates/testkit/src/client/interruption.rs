//! Interrupted calls: a socket call with a timeout fails with EINTR when the process was stopped or frozen
//! meanwhile, although it has no signal handler (signal(7)).

use std::io;

/// The result of the call, which is repeated when it is interrupted.
///
/// # Errors
/// Any other error of the call.
pub fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_call_is_repeated() {
        let mut results = [Err(io::ErrorKind::Interrupted.into()), Ok(7), Ok(8)].into_iter();
        assert_eq!(uninterrupted(|| results.next().unwrap()).unwrap(), 7);
        let failed = uninterrupted(|| Err::<(), _>(io::ErrorKind::TimedOut.into()));
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
