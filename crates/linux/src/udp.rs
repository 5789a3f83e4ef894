//! UDP sockets: a listener with batched receive and send (`recvmmsg`, `sendmmsg`), and connected
//! sockets towards upstreams.

mod batch;

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::unix::AsyncFd;

pub use self::batch::{BUFFER_SIZE, RecvBatch, RecvMeta, SendBatch, SendOutcome};
use crate::binder::Binder;
pub use crate::msghdr::BATCH_SIZE;
use crate::socket::{bind_source, inherit as inherit_socket, invalid_input, set_listener_options};
use crate::sys;

/// A bound, non-blocking UDP socket that shares its port with sockets of the same user
/// (`SO_REUSEPORT`) and may be bound to an address that the node does not have yet (`IP_FREEBIND`).
///
/// On a wildcard address (`0.0.0.0`, `[::]`) every datagram has its destination address, and
/// replies use it as their source. `[::]` is IPv6 only.
#[derive(Debug)]
pub struct UdpListener {
    socket: UdpSocket,
}

/// Signals datagrams that are queued in a listener's socket. A socket of tokio's would also signal, and wake
/// its thread, whenever a datagram that it sent has left the send queue.
#[derive(Debug)]
pub struct UdpReadiness {
    descriptor: AsyncFd<OwnedFd>,
}

impl UdpReadiness {
    /// Receives with [`UdpListener::receive`], waiting for datagrams if none are queued. Cancelling the
    /// call loses none.
    ///
    /// # Errors
    ///
    /// The error of [`UdpListener::receive`] but `WouldBlock`, or of the runtime.
    pub async fn receive(&self, listener: &UdpListener, batch: &mut RecvBatch) -> io::Result<usize> {
        loop {
            let mut guard = self.descriptor.readable().await?;
            match guard.try_io(|_| listener.receive(batch)) {
                Ok(received) => {
                    // A batch that is not full has emptied the queue, which signals again when the next
                    // datagram arrives: the call that would fail with `WouldBlock` is saved.
                    if received.as_ref().is_ok_and(|count| *count < BATCH_SIZE) {
                        guard.clear_ready();
                    }
                    return received;
                }
                Err(_would_block) => {}
            }
        }
    }
}

/// SO_RCVBUF in octets, which the kernel doubles. Allocated on demand.
const RECV_BUFFER_SIZE: usize = MAX_QUEUE_OCTETS / 2;

/// Maximum octets in a receive queue, kernel overhead included.
pub const MAX_QUEUE_OCTETS: usize = 4 << 20;

impl UdpListener {
    /// Opens a socket and binds it to `addr`; the kernel chooses port 0.
    ///
    /// # Errors
    ///
    /// The kernel's error: `AddrInUse` when a socket without `SO_REUSEPORT` or of another user
    /// holds the port, `PermissionDenied` for a port below 1024 without `CAP_NET_BIND_SERVICE`.
    pub fn bind(addr: SocketAddr) -> io::Result<Self> {
        Self::bind_by(&Binder::in_place(), addr)
    }

    /// As [`bind`](Self::bind), with the permissions of `binder`.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub fn bind_by(binder: &Binder, addr: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(addr), Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
        set_listener_options(&socket, addr)?;
        enable_packet_info(&socket, addr.ip())?;
        set_receive_buffer(&socket, RECV_BUFFER_SIZE)?;
        binder.bind(&socket, addr)?;
        Ok(Self { socket: socket.into() })
    }

    /// Takes over a socket that another process created with [`UdpListener::bind`] for `addr`, with
    /// all datagrams that are queued in it.
    ///
    /// # Errors
    ///
    /// `InvalidInput` with the reason when the descriptor is not such a socket, or is bound to
    /// another address; it is closed then.
    pub fn inherit(descriptor: OwnedFd, addr: SocketAddr) -> io::Result<Self> {
        let socket = inherit_socket(descriptor, Type::DGRAM, Protocol::UDP, addr)?;
        if addr.is_ipv6() && !socket.only_v6()? {
            return Err(invalid_input(format!("the socket on {addr} takes IPv4 as well")));
        }
        enable_packet_info(&socket, addr.ip())?;
        Ok(Self { socket: socket.into() })
    }

    /// A second descriptor of the same socket, e.g. to pass it to a successor while this one is
    /// still read. Each datagram goes to the first reader; the socket is closed with its last
    /// descriptor.
    ///
    /// # Errors
    ///
    /// The limit on open files is reached.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { socket: self.socket.try_clone()? })
    }

    /// The address and port that the socket is bound to.
    ///
    /// # Errors
    ///
    /// The error of `getsockname`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// A second descriptor of the same socket, registered with the current tokio runtime, that
    /// signals queued datagrams. The port is free again when both are dropped.
    ///
    /// # Errors
    ///
    /// The limit on open files is reached, or the runtime cannot register the descriptor.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O, as every socket of tokio's does.
    pub fn readiness(&self) -> io::Result<UdpReadiness> {
        let descriptor = sys::register_readable(self.socket.try_clone()?.into())?;
        Ok(UdpReadiness { descriptor })
    }

    /// Replaces the content of `batch` with the queued datagrams, at most [`BATCH_SIZE`], and
    /// returns their number.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when nothing is queued, else the error of `recvmmsg`; `batch` is empty then.
    pub fn receive(&self, batch: &mut RecvBatch) -> io::Result<usize> {
        batch.receive(self.as_fd())
    }

    /// Sends datagrams `(octets, peer, local)` in order, [`BATCH_SIZE`] per system call; `local` is
    /// the source address, as in [`RecvMeta::local`].
    ///
    /// A datagram that the kernel refuses is skipped. When the send queue is full the rest is
    /// dropped: clients retry, and waiting would delay every other client.
    pub fn send<'a, I>(&self, replies: I) -> SendOutcome
    where
        I: IntoIterator<Item = (&'a [u8], SocketAddr, Option<IpAddr>)>,
    {
        self.send_with(&mut SendBatch::new(), replies)
    }

    /// The same with memory that is allocated once.
    pub fn send_with<'a, I>(&self, batch: &mut SendBatch, replies: I) -> SendOutcome
    where
        I: IntoIterator<Item = (&'a [u8], SocketAddr, Option<IpAddr>)>,
    {
        batch.send(self.as_fd(), replies)
    }

    /// Datagrams that the kernel dropped since the socket was created, because the receive queue
    /// was full or the checksum was wrong. Wraps at 2^32.
    ///
    /// # Errors
    ///
    /// The error of `getsockopt`; kernels before 4.12 do not support the option.
    pub fn queue_overflows(&self) -> io::Result<u32> {
        Ok(sys::queue_info(self.as_fd())?.drops)
    }

    /// Octets in the receive queue, kernel overhead included.
    ///
    /// # Errors
    ///
    /// As [`UdpListener::queue_overflows`].
    pub fn queued_octets(&self) -> io::Result<u32> {
        Ok(sys::queue_info(self.as_fd())?.octets)
    }

    /// Limits the receive queue to `octets`, kernel overhead included: about 770 for a query. What
    /// is queued already stays.
    ///
    /// # Errors
    ///
    /// The error of `setsockopt`. Without `CAP_NET_ADMIN`, twice `net.core.rmem_max` is the limit.
    pub fn limit_queue(&self, octets: usize) -> io::Result<()> {
        // The kernel doubles the value.
        set_receive_buffer(&SockRef::from(&self.socket), octets / 2)
    }
}

/// A non-blocking UDP socket connected to `addr`, with a new source port and the source address
/// `source` if given. ICMP errors, e.g. port or host unreachable, are returned by the next call.
///
/// # Errors
///
/// The kernel's error: `NetworkUnreachable` without a route, `AddrNotAvailable` when the node does
/// not have `source`, or no descriptor or source port is free.
pub fn connect(addr: SocketAddr, source: Option<IpAddr>) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    if addr.is_ipv4() {
        setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?;
    } else {
        setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?;
    }
    bind_source(&socket, source)?;
    socket.connect(&addr.into())?;
    Ok(socket.into())
}

/// Sends a datagram on a socket of [`connect`], whatever the runtime knows of its readiness.
///
/// # Errors
///
/// The kernel's error, also one that an ICMP message has caused before. `WouldBlock` when the
/// socket's buffer is full: the datagram is lost.
pub fn send_connected(socket: &impl AsFd, message: &[u8]) -> io::Result<()> {
    SockRef::from(socket).send(message).map(drop)
}

/// Enables packet info, which has the destination address of each datagram, on a wildcard address.
fn enable_packet_info(socket: &Socket, bound: IpAddr) -> io::Result<()> {
    match bound {
        IpAddr::V4(bound) if bound.is_unspecified() => setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?,
        IpAddr::V6(bound) if bound.is_unspecified() => {
            setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        }
        _ => {}
    }
    Ok(())
}

/// Makes space for a burst of a few thousand queries while the worker is busy; the kernel's default
/// holds about 250. Without `CAP_NET_ADMIN`, `net.core.rmem_max` is the limit.
fn set_receive_buffer(socket: &Socket, octets: usize) -> io::Result<()> {
    match setsockopt(socket, sockopt::RcvBufForce, &octets) {
        Err(nix::errno::Errno::EPERM) => socket.set_recv_buffer_size(octets),
        result => Ok(result?),
    }
}

impl AsFd for UdpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for UdpListener {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
