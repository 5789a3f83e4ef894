//! Descriptors that one process passes to another over a Unix stream socket (`SCM_RIGHTS`, unix(7)), and who the other
//! process is.
//!
//! A passed descriptor names the same open socket: what is queued in it stays queued while either process has it open.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, getsockopt, sendmsg, sockopt};

use crate::socket::invalid_input;
use crate::sys;

/// Descriptors that one call passes at most: the kernel's `SCM_MAX_FD`.
pub const MAX_DESCRIPTORS: usize = 253;

/// The user of a process that never told one to the socket.
const NO_USER: u32 = u32::MAX;

/// Sends octets on a connected Unix stream socket in one call, and the descriptors together with the first of them.
///
/// Returns how many octets were taken; the rest of a longer message is to be sent without the descriptors. The receiver
/// gets descriptors of its own: the sender's may be closed as soon as this returns.
///
/// # Errors
///
/// `InvalidInput` for more than [`MAX_DESCRIPTORS`], or for descriptors without an octet to carry them; `WouldBlock` on a
/// non-blocking socket whose queue is full; `BrokenPipe` when the other end is closed, without a signal; else what
/// `sendmsg` says. Nothing was passed then.
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

/// Receives octets into `buffer` and puts the descriptors that came with them behind those in `descriptors`. They are not
/// inherited by programs that this process starts.
///
/// Returns how many octets came; 0 means that the other end is closed.
///
/// # Errors
///
/// `InvalidInput` for a buffer without room; `InvalidData` when the kernel could not hand over every descriptor that was
/// sent, e.g. because the process may open no more: those that came are closed, the octets are lost, and the connection
/// is of no further use. `WouldBlock` on a non-blocking socket with nothing queued; else what `recvmsg` says.
pub fn receive(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    if buffer.is_empty() {
        return Err(invalid_input("a buffer without room cannot tell nothing from the end".to_owned()));
    }
    let status = sys::receive_descriptors::<MAX_DESCRIPTORS>(socket, buffer)?;
    if status.cut_short {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "only {} of the descriptors that were sent could be taken over: is the limit of open files reached?",
                status.descriptors.len()
            ),
        ));
    }
    descriptors.extend(status.descriptors);
    Ok(status.length)
}

/// The process at the other end of a Unix socket, as it was when the two were connected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PeerCredentials {
    /// Its effective user, as our user namespace has it; one that it does not have is 65534.
    pub uid: u32,
    /// Its process number; none when our pid namespace does not have it.
    pub pid: Option<u32>,
}

/// Who is at the other end of a connected Unix socket. The kernel vouches for it, not the peer.
///
/// # Errors
///
/// `NotConnected` for a socket that has no peer or is not a Unix socket; else what `getsockopt` says.
pub fn peer_credentials(socket: BorrowedFd<'_>) -> io::Result<PeerCredentials> {
    let credentials = getsockopt(&socket, sockopt::PeerCredentials)?;
    if credentials.uid() == NO_USER {
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
    fn descriptors_beyond_the_room_for_them_are_said_to_be_missing_and_none_stays_open() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        let descriptors = [writer.as_fd(); 3];
        assert_eq!(send(ours.as_fd(), b"x", &descriptors).unwrap(), 1);
        let status = sys::receive_descriptors::<1>(theirs.as_fd(), &mut [0; 8]).unwrap();
        assert_eq!((status.length, status.cut_short, status.descriptors.len()), (1, true, 1));
        drop((writer, status));
        assert_eq!(reader.read(&mut [0]).unwrap(), 0, "nobody holds the other end any more");
    }
}
