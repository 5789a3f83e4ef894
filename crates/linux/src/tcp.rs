//! TCP sockets with the options of a DNS server and forwarder.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use crate::binder::Binder;
use crate::socket::{bind_source, inherit as inherit_socket, invalid_input, set_listener_options};
use crate::sys;

/// TCP_USER_TIMEOUT of client connections: the time for which sent octets may stay unacknowledged.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(10);
/// TCP_USER_TIMEOUT of upstream connections, connecting included: as long as a stub resolver waits
/// for a response.
const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(5);
/// SO_SNDBUF of client connections in octets: a bound for clients that do not read. The kernel
/// doubles it for overhead; its default grows to megabytes.
const SEND_BUFFER: usize = 64 * 1024;
/// Idle time before the first keepalive probe to a client.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
/// Time between keepalive probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// A non-blocking listener that shares its port with sockets of the same user (`SO_REUSEPORT`), may
/// be bound to an address that the node does not have yet (`IP_FREEBIND`), and is IPv6 only on an
/// IPv6 address.
///
/// `backlog` is the maximum number of connections that wait for `accept`; the kernel caps it at
/// `somaxconn`.
///
/// # Errors
///
/// The kernel's error: `AddrInUse` when a socket without `SO_REUSEPORT` or of another user holds
/// the port, `PermissionDenied` for a port below 1024 without `CAP_NET_BIND_SERVICE`.
pub fn listen(addr: SocketAddr, backlog: i32) -> io::Result<TcpListener> {
    listen_by(&Binder::in_place(), addr, backlog)
}

/// As [`listen`], with the permissions of `binder`.
///
/// # Errors
///
/// As [`listen`].
pub fn listen_by(binder: &Binder, addr: SocketAddr, backlog: i32) -> io::Result<TcpListener> {
    let socket = stream(addr)?;
    set_listener_options(&socket, addr)?;
    socket.set_reuse_address(true)?;
    binder.bind(&socket, addr)?;
    socket.listen(backlog)?;
    Ok(socket.into())
}

/// States of a connection (`tcp_states.h` of Linux).
const TCP_SYN_SENT: u8 = 2;
const TCP_CLOSE: u8 = 7;

/// Octets that were written to a connected socket and are not acknowledged by the peer's host
/// (SIOCOUTQ), those not sent yet included; 0 when the peer has reset the connection.
///
/// # Errors
///
/// The kernel's error.
pub fn unacknowledged_octets(stream: &impl AsFd) -> io::Result<usize> {
    if sys::tcp_state(stream.as_fd())? == TCP_CLOSE {
        return Ok(0);
    }
    sys::unacknowledged_octets(stream.as_fd())
}

/// True while the SYN of a connection is not acknowledged; false when it has been refused.
///
/// # Errors
///
/// The kernel's error.
pub fn is_connecting(stream: &impl AsFd) -> io::Result<bool> {
    Ok(sys::tcp_state(stream.as_fd())? == TCP_SYN_SENT)
}

/// Takes over a listener on `addr` from another process, with all connections that wait in it. It
/// may accept both address families.
///
/// # Errors
///
/// `InvalidInput` with the reason when the descriptor is not a TCP listener, does not share its
/// port, or is bound to another address; it is closed then.
pub fn inherit(descriptor: OwnedFd, addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = inherit_socket(descriptor, Type::STREAM, Protocol::TCP, addr)?;
    if !socket.is_listener()? {
        return Err(invalid_input(format!("the socket on {addr} takes no connections")));
    }
    Ok(socket.into())
}

/// Sets the options of an accepted connection: TCP_NODELAY (a response is one write), keepalive,
/// TCP_USER_TIMEOUT, and a bounded send buffer.
///
/// # Errors
///
/// The error of `setsockopt`.
pub fn tune_accepted(stream: impl AsFd) -> io::Result<()> {
    let socket = SockRef::from(&stream);
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_tcp_user_timeout(Some(CLIENT_TIMEOUT))
}

/// Begins a connection to `addr`, with TCP_NODELAY, a TCP_USER_TIMEOUT of five seconds and the
/// source address `source` if given. The non-blocking stream is writable when it is established or
/// has failed; SO_ERROR (`take_error`) then has the reason of a failure.
///
/// # Errors
///
/// The kernel's error, e.g. the limit on open files, `AddrNotAvailable` when the node does not
/// have `source`, or no route.
pub fn dial(addr: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = stream(addr)?;
    bind_source(&socket, source)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_user_timeout(Some(UPSTREAM_TIMEOUT))?;
    match socket.connect(&addr.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(socket.into()),
    }
}

fn stream(addr: SocketAddr) -> io::Result<Socket> {
    Socket::new(Domain::for_address(addr), Type::STREAM.nonblocking(), Some(Protocol::TCP))
}
