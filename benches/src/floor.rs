//! The floor: a UDP echo server, one batch per system call.

use std::io::{ErrorKind, stdout};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;

use linux::udp::{RecvBatch, UdpListener};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::cpu;
use crate::output::BenchError;

/// Prints the port, then echoes datagrams until killed.
pub(crate) fn run() -> Result<(), BenchError> {
    cpu::die_with_parent()?;
    let socket = UdpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    crate::output::print(&mut stdout(), &socket.local_addr()?.port().to_string());
    let mut batch = RecvBatch::new();
    loop {
        match socket.receive(&mut batch) {
            Ok(_) => {
                let replies = batch.iter().map(|(octets, meta)| (octets, meta.peer, meta.local));
                let _: linux::udp::SendOutcome = socket.send(replies);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
