//! SCM_RIGHTS: passing file descriptors over a Unix stream socket (unix(7)), and the peer's
//! credentials (SO_PEERCRED).
//!
//! A passed descriptor refers to the same open socket: its queue survives while either process has
//! it open.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, getsockopt, sendmsg, sockopt};

use crate::socket::invalid_input;
use crate::sys;

/// Maximum descriptors per call: the kernel's `SCM_MAX_FD`.
pub const MAX_DESCRIPTORS: usize = 253;

/// The uid of a socket without peer credentials.
const NO_UID: u32 = u32::MAX;

/// Sends octets on a connected Unix stream socket in one call, with the descriptors attached to the
/// first of them.
///
/// Returns the number of octets sent; send the rest of a longer message without the descriptors.
/// The receiver gets duplicates: the sender may close its descriptors when this returns.
///
/// # Errors
///
/// `InvalidInput` for more than [`MAX_DESCRIPTORS`], or for descriptors without an octet;
/// `WouldBlock` on a non-blocking socket whose queue is full; `BrokenPipe`, without SIGPIPE, when
/// the other end is closed; else the error of `sendmsg`. Nothing was sent then.
pub fn send(socket: BorrowedFd<'_>, octets: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
    if descriptors.len() > MAX_DESCRIPTORS {
        return Err(invalid_input(format!(
            "{} descriptors in one message; it carries {MAX_DESCRIPTORS}",
            descriptors.len()
        )));
    }
    if octets.is_empty() && !descriptors.is_empty() {
        return Err(invalid_input("descriptors need at least one octet to go with".to_owned()));
    }
    let descriptors: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&descriptors)];
    let control = if descriptors.is_empty() { &[] } else { rights.as_slice() };
    loop {
        let sent =
            sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(octets)], control, MsgFlags::MSG_NOSIGNAL, None);
        match sent {
            Err(Errno::EINTR) => {}
            sent => return Ok(sent?),
        }
    }
}

/// Receives octets into `buffer` and appends the descriptors that arrive with them to
/// `descriptors`, with close-on-exec.
///
/// Returns the number of octets; 0 means that the other end is closed.
///
/// # Errors
///
/// `InvalidInput` for an empty buffer; `InvalidData` when the kernel could not deliver every
/// descriptor, e.g. because of the limit on open files: the delivered ones are closed, the octets
/// are lost, and the connection is unusable. `WouldBlock` on a non-blocking socket with nothing
/// queued; else the error of `recvmsg`.
pub fn receive(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    if buffer.is_empty() {
        return Err(invalid_input("an empty buffer cannot distinguish no data from the end".to_owned()));
    }
    let received = sys::receive_descriptors::<MAX_DESCRIPTORS>(socket, buffer)?;
    if received.truncated {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "only {} of the descriptors that were sent could be taken over: is the limit of open files reached?",
                received.descriptors.len()
            ),
        ));
    }
    descriptors.extend(received.descriptors);
    Ok(received.length)
}

/// Credentials of the process at the other end of a Unix socket, from the time of the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PeerCredentials {
    /// Effective uid in our user namespace; 65534 for an unmapped one.
    pub uid: u32,
    /// Pid; absent when it is not in our pid namespace.
    pub pid: Option<u32>,
}

/// The credentials of the peer of a connected Unix socket, as the kernel reports them.
///
/// # Errors
///
/// `NotConnected` for a socket without a peer or of another family; else the error of `getsockopt`.
pub fn peer_credentials(socket: BorrowedFd<'_>) -> io::Result<PeerCredentials> {
    let credentials = getsockopt(&socket, sockopt::PeerCredentials)?;
    if credentials.uid() == NO_UID {
        return Err(io::ErrorKind::NotConnected.into());
    }
    let pid = u32::try_from(credentials.pid()).ok().filter(|pid| *pid != 0);
    Ok(PeerCredentials { uid: credentials.uid(), pid })
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn descriptors_beyond_the_buffer_are_reported_and_none_stays_open() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        let descriptors = [writer.as_fd(); 3];
        assert_eq!(send(ours.as_fd(), b"x", &descriptors).unwrap(), 1);
        let received = sys::receive_descriptors::<1>(theirs.as_fd(), &mut [0; 8]).unwrap();
        assert_eq!((received.length, received.truncated, received.descriptors.len()), (1, true, 1));
        drop((writer, received));
        assert_eq!(reader.read(&mut [0]).unwrap(), 0, "the other end is closed");
    }
}
