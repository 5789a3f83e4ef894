//! Unreachable upstreams: a closed port and a blackhole.

use std::io;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// Refuses TCP connections: the port is bound, but not listening.
#[derive(Debug)]
pub struct ClosedPort {
    // Keeps the port from other processes.
    _socket: Socket,
    addr: SocketAddr,
}

impl ClosedPort {
    /// Binds `addr`; port 0 takes a free one.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn bind(addr: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
        socket.bind(&addr.into())?;
        let addr = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { _socket: socket, addr })
    }

    /// The address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

/// Neither accepts nor refuses connections and never reads datagrams, like a host that is down.
#[derive(Debug)]
pub struct Blackhole {
    // All open so that packets to the port find a full backlog and an unread buffer.
    _tcp: Socket,
    _udp: UdpSocket,
    _backlog: Vec<TcpStream>,
    addr: SocketAddr,
}

impl Blackhole {
    /// Binds `addr`; port 0 takes a free one.
    ///
    /// # Errors
    /// The address cannot be bound, or the backlog does not fill.
    pub fn bind(addr: SocketAddr) -> io::Result<Self> {
        /// With a backlog of 0 the kernel queues one connection; a few more do no harm.
        const MAX_BACKLOG: usize = 8;
        /// A connection to this machine is queued within this time or not at all.
        const CONNECT_TIMEOUT: Duration = Duration::from_millis(50);
        let tcp = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
        tcp.set_reuse_address(true)?;
        tcp.bind(&addr.into())?;
        tcp.listen(0)?;
        let addr = tcp.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
        let udp = UdpSocket::bind(addr)?;
        let mut backlog = Vec::new();
        while let Ok(queued) = TcpStream::connect_timeout(&addr, CONNECT_TIMEOUT) {
            backlog.push(queued);
            if backlog.len() > MAX_BACKLOG {
                return Err(io::ErrorKind::AddrInUse.into());
            }
        }
        Ok(Self { _tcp: tcp, _udp: udp, _backlog: backlog, addr })
    }

    /// The address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}
