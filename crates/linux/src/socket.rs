//! Common to UDP and TCP sockets: options of listeners, the source address, and validation of
//! inherited descriptors.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

/// Binds the socket to a source address. The kernel chooses the port at connect
/// (IP_BIND_ADDRESS_NO_PORT), when it knows the destination.
pub(crate) fn bind_source(socket: &Socket, source: Option<IpAddr>) -> io::Result<()> {
    let Some(source) = source else { return Ok(()) };
    setsockopt(socket, sockopt::IpBindAddressNoPort, &true)?;
    socket.bind(&SocketAddr::new(source, 0).into())
}

/// Sets the options of a socket that listens on `addr`: it may be bound to an address that the node
/// does not have yet, is IPv6 only on an IPv6 address, and shares its port.
pub(crate) fn set_listener_options(socket: &Socket, addr: SocketAddr) -> io::Result<()> {
    if addr.is_ipv4() {
        socket.set_freebind_v4(true)?;
    } else {
        socket.set_only_v6(true)?;
        socket.set_freebind_v6(true)?;
    }
    socket.set_reuse_port(true)
}

/// Checks that the node has an address that can be listened on; the port does not matter.
///
/// # Errors
///
/// `AddrNotAvailable` when the node does not have it, else the kernel's error.
pub fn check_local_address(address: SocketAddr) -> io::Result<()> {
    // The kernel binds sockets to these as well.
    let is_group = match address.ip() {
        IpAddr::V4(ip) => ip.is_multicast() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_multicast(),
    };
    if is_group {
        return Err(io::ErrorKind::AddrNotAvailable.into());
    }
    let mut any_port = address;
    any_port.set_port(0);
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.bind(&any_port.into())
}

/// True for the error of a send whose packet a packet filter of the node rejects: EPERM.
#[must_use]
pub fn is_packet_filter_reject(error: &io::Error) -> bool {
    error.raw_os_error().map(Errno::from_raw) == Some(Errno::EPERM)
}

/// Validates a descriptor received from another process: a socket of this kind, bound to `addr`,
/// not connected, with SO_REUSEPORT. Makes it non-blocking.
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

/// An `InvalidInput` error with a reason.
pub(crate) fn invalid_input(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}
