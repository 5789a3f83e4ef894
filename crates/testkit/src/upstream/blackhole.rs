//! Addresses where nobody answers.

use std::io;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// An address at which TCP connections are refused: the port is taken, but nobody listens.
#[derive(Debug)]
pub struct ClosedPort {
    // Held for the port.
    _socket: Socket,
    addr: SocketAddr,
}

impl ClosedPort {
    /// Takes a port of `addr`, a free one for port 0.
    ///
    /// # Errors
    /// When the address cannot be bound.
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

/// An address at which connections are neither taken up nor refused, and datagrams are not read: a host that is gone.
#[derive(Debug)]
pub struct Blackhole {
    // All held so that nothing comes of what is sent here.
    _tcp: Socket,
    _udp: UdpSocket,
    _in_the_way: Vec<TcpStream>,
    addr: SocketAddr,
}

impl Blackhole {
    /// Takes a port of `addr`, a free one for port 0.
    ///
    /// # Errors
    /// When the address cannot be bound, or connections are taken up all the same.
    pub fn bind(addr: SocketAddr) -> io::Result<Self> {
        /// With a backlog of 0 the kernel queues one connection; a few more do no harm.
        const MOST_QUEUED: usize = 8;
        /// Within this a connection on this machine is taken up, if it is.
        const SOON: Duration = Duration::from_millis(50);
        let tcp = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
        tcp.set_reuse_address(true)?;
        tcp.bind(&addr.into())?;
        tcp.listen(0)?;
        let addr = tcp.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
        let udp = UdpSocket::bind(addr)?;
        let mut in_the_way = Vec::new();
        while let Ok(queued) = TcpStream::connect_timeout(&addr, SOON) {
            in_the_way.push(queued);
            if in_the_way.len() > MOST_QUEUED {
                return Err(io::ErrorKind::AddrInUse.into());
            }
        }
        Ok(Self { _tcp: tcp, _udp: udp, _in_the_way: in_the_way, addr })
    }

    /// The address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}
