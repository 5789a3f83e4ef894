//! The least that answers: what comes in goes out as it is, a batch per call to the kernel.

use std::io::{ErrorKind, stdout};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;

use linux::udp::{RecvBatch, UdpListener};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::{Failed, cpu};

/// Sends everything back, until killed; prints the port first.
pub(crate) fn run() -> Result<(), Failed> {
    cpu::end_with_parent()?;
    let socket = UdpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    crate::say(&mut stdout(), &socket.local_addr()?.port().to_string());
    let mut batch = RecvBatch::new();
    loop {
        match socket.receive(&mut batch) {
            Ok(_) => {
                let replies = batch.iter().map(|(octets, source)| (octets, source.peer, source.local));
                let _: linux::udp::SendOutcome = socket.send(replies);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
