//! What datagram and stream sockets have in common: the source address, and checks of inherited descriptors.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

/// Gives the socket its source address; its port is chosen when it is connected, when the kernel knows the other end.
pub(crate) fn bind_source(socket: &Socket, source: Option<IpAddr>) -> io::Result<()> {
    let Some(source) = source else { return Ok(()) };
    setsockopt(socket, sockopt::IpBindAddressNoPort, &true)?;
    socket.bind(&SocketAddr::new(source, 0).into())
}

/// Takes a descriptor that came from another process as a socket of this kind, bound to `addr`, that others may share,
/// and makes it non-blocking. What it is, the kernel says.
pub(crate) fn inherit(
    descriptor: OwnedFd,
    kind: Type,
    protocol: Protocol,
    addr: SocketAddr,
) -> io::Result<Socket> {
    let socket = Socket::from(descriptor);
    let found = socket.r#type().map_err(|error| match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOTSOCK) => invalid_input("the descriptor is no socket".to_owned()),
        _ => error,
    })?;
    let found = (socket.domain()?, found, socket.protocol()?);
    let wanted = (Domain::for_address(addr), kind, Some(protocol));
    if found != wanted {
        return Err(invalid_input(format!("the socket is of another kind: {found:?} instead of {wanted:?}")));
    }
    let bound = socket.local_addr()?.as_socket();
    if bound != Some(addr) {
        let bound = bound.map_or_else(|| "nothing".to_owned(), |bound| bound.to_string());
        return Err(invalid_input(format!("the socket is bound to {bound} instead of {addr}")));
    }
    if socket.peer_addr().is_ok() {
        return Err(invalid_input(format!("the socket on {addr} is connected to a peer")));
    }
    if !socket.reuse_port()? {
        return Err(invalid_input(format!("the socket does not share {addr} with others (SO_REUSEPORT)")));
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// The argument cannot be used, and why.
pub(crate) fn invalid_input(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}
