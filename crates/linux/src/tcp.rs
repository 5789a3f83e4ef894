//! Stream sockets and connected datagram sockets with the options that a DNS server and its forwarder need.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use crate::socket::{bind_source, inherit as inherit_socket, invalid_input};

/// How long octets sent to a client may stay unacknowledged before its connection ends.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long octets sent to an upstream, or the opening of its connection, may stay unacknowledged: as long as a resolver
/// waits for an answer.
const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(5);
/// Octets of answers that the kernel keeps for a client that does not read; it takes twice as much with its own
/// bookkeeping, and left to itself it would take megabytes.
const SEND_BUFFER: usize = 64 * 1024;
/// A silent client is asked after this time whether it still exists.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
/// The pause between such questions.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// A non-blocking listener that shares its port with others of the same user (`SO_REUSEPORT`), may be bound to an
/// address that the node does not have yet (`IP_FREEBIND`), and takes IPv6 only on an IPv6 address.
///
/// `backlog` is the number of accepted connections that may wait to be taken; the kernel caps it at `somaxconn`.
///
/// # Errors
///
/// What the kernel says: `AddrInUse` when a socket without `SO_REUSEPORT` or of another user holds the port,
/// `PermissionDenied` for a port below 1024 without `CAP_NET_BIND_SERVICE`.
pub fn listen(addr: SocketAddr, backlog: i32) -> io::Result<TcpListener> {
    let socket = stream(addr)?;
    if addr.is_ipv4() {
        socket.set_freebind_v4(true)?;
    } else {
        socket.set_only_v6(true)?;
        socket.set_freebind_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&addr.into())?;
    socket.listen(backlog)?;
    Ok(socket.into())
}

/// Takes over a listener on `addr` that another process made, as [`listen`] does or for both families at once, and passed
/// on, with all connections that wait in it.
///
/// # Errors
///
/// `InvalidInput` with the reason when the kernel says that it is no TCP listener, does not share its port, or is bound to
/// another address; it is closed then.
pub fn inherit(descriptor: OwnedFd, addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = inherit_socket(descriptor, Type::STREAM, Protocol::TCP, addr)?;
    if !socket.is_listener()? {
        return Err(invalid_input(format!("the socket on {addr} takes no connections")));
    }
    Ok(socket.into())
}

/// Sets the options of an accepted connection: no delay (an answer is one write), keepalive probes, an end to
/// connections whose client acknowledges nothing for ten seconds, and a bound on what waits for one that does not read.
///
/// # Errors
///
/// What `setsockopt` says.
pub fn tune_accepted(stream: impl AsFd) -> io::Result<()> {
    let socket = SockRef::from(&stream);
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_tcp_user_timeout(Some(CLIENT_TIMEOUT))
}

/// An unconnected, non-blocking stream socket of the family of `addr`, with no delay and a time-out of five seconds for
/// octets that stay unacknowledged, the opening of the connection included; it leaves from `source` if one is given.
///
/// It is a `TcpStream` because that is what `tokio::net::TcpSocket::from_std_stream` takes:
/// `TcpSocket::from_std_stream(dial_socket(addr, None)?).connect(addr).await`.
///
/// # Errors
///
/// What the kernel says, e.g. that the process has no descriptor left, or `AddrNotAvailable` when the node does not have
/// `source`.
pub fn dial_socket(addr: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = stream(addr)?;
    bind_source(&socket, source)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_user_timeout(Some(UPSTREAM_TIMEOUT))?;
    Ok(socket.into())
}

fn stream(addr: SocketAddr) -> io::Result<Socket> {
    Socket::new(Domain::for_address(addr), Type::STREAM.nonblocking(), Some(Protocol::TCP))
}
