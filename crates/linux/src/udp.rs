//! UDP sockets: a listener with batched receive and send (`recvmmsg`, `sendmmsg`), and connected
//! sockets towards upstreams.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::unix::AsyncFd;

use crate::binder::Binder;
pub use crate::msghdr::BATCH_SIZE;
use crate::msghdr::MsgHdr;
use crate::socket::{
    bind_source, inherit as inherit_socket, invalid_input, is_packet_filter_reject, set_listener_options,
};
use crate::sys::{self, RecvStatus};

/// Octets of one receive buffer. Queries are far shorter; longer datagrams are marked as truncated.
pub const BUFFER_SIZE: usize = 4096;

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
        batch.count = 0;
        batch.count =
            sys::receive(self.as_fd(), &mut batch.buffers, &mut batch.msghdrs, &mut batch.statuses)?;
        Ok(batch.count)
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
        let mut sent = SendOutcome::default();
        let mut datagrams: [&[u8]; BATCH_SIZE] = [&[]; BATCH_SIZE];
        let SendBatch { msghdrs } = batch;
        let mut replies = replies.into_iter().fuse();
        loop {
            let mut count = 0;
            let slots = datagrams.iter_mut().zip(msghdrs.iter_mut());
            // The slots first: `zip` advances its left side first, and a reply without a slot would
            // be lost.
            for ((datagram, msghdr), (octets, peer, local)) in slots.zip(&mut replies) {
                *datagram = octets;
                msghdr.set(peer, local);
                count += 1;
            }
            if count == 0 {
                return sent;
            }
            if !self.flush(&datagrams, &**msghdrs, count, &mut sent) {
                sent.dropped += replies.count();
                return sent;
            }
        }
    }

    /// Sends the first `count` of a batch; false when the queue was full and the rest was dropped.
    fn flush(&self, datagrams: &[&[u8]], msghdrs: &[MsgHdr], count: usize, sent: &mut SendOutcome) -> bool {
        let mut next = 0;
        while let (Some(datagrams), Some(msghdrs)) = (datagrams.get(next..count), msghdrs.get(next..count))
            && !datagrams.is_empty()
        {
            match sys::send(self.as_fd(), datagrams, msghdrs) {
                Ok(count_sent) => {
                    next += count_sent;
                    sent.sent += count_sent;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    sent.dropped += datagrams.len();
                    return false;
                }
                Err(error) => {
                    next += 1;
                    sent.refused += 1;
                    sent.filtered += usize::from(is_packet_filter_reject(&error));
                    sent.last_error = Some(error);
                }
            }
        }
        true
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

/// The outcome of [`UdpListener::send`], in datagrams.
#[derive(Debug, Default)]
pub struct SendOutcome {
    /// Accepted by the kernel.
    pub sent: usize,
    /// Refused by the kernel, e.g. for lack of a route.
    pub refused: usize,
    /// Those of them that a packet filter of the node rejected.
    pub filtered: usize,
    /// Dropped because the send queue was full.
    pub dropped: usize,
    /// The error of the last refused datagram.
    pub last_error: Option<io::Error>,
}

/// Addresses of one batch of datagrams to be sent, allocated once and reused.
pub struct SendBatch {
    msghdrs: Box<[MsgHdr; BATCH_SIZE]>,
}

impl SendBatch {
    /// Room for [`BATCH_SIZE`] datagrams.
    #[must_use]
    pub fn new() -> Self {
        Self { msghdrs: Box::new([MsgHdr::EMPTY; BATCH_SIZE]) }
    }
}

impl Default for SendBatch {
    fn default() -> Self {
        Self::new()
    }
}

/// Metadata of a received datagram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RecvMeta {
    /// The sender.
    pub peer: SocketAddr,
    /// The destination address; present only on sockets bound to a wildcard address.
    pub local: Option<IpAddr>,
    /// The datagram was longer than [`BUFFER_SIZE`] octets and is truncated.
    pub truncated: bool,
}

/// Buffers for one batch of received datagrams, allocated once and reused.
pub struct RecvBatch {
    buffers: Box<[[u8; BUFFER_SIZE]; BATCH_SIZE]>,
    msghdrs: Box<[MsgHdr; BATCH_SIZE]>,
    statuses: [RecvStatus; BATCH_SIZE],
    count: usize,
}

impl RecvBatch {
    /// Empty buffers for [`BATCH_SIZE`] datagrams of [`BUFFER_SIZE`] octets.
    #[must_use]
    pub fn new() -> Self {
        Self {
            buffers: Box::new([[0; BUFFER_SIZE]; BATCH_SIZE]),
            msghdrs: Box::new([MsgHdr::EMPTY; BATCH_SIZE]),
            statuses: [RecvStatus { length: 0, truncated: false }; BATCH_SIZE],
            count: 0,
        }
    }

    /// The datagrams of the last batch in order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], RecvMeta)> {
        let slots = self.buffers.iter().zip(self.msghdrs.iter()).zip(&self.statuses);
        slots.take(self.count).filter_map(|((buffer, msghdr), status)| {
            let source =
                RecvMeta { peer: msghdr.peer()?, local: msghdr.local(), truncated: status.truncated };
            Some((buffer.get(..status.length)?, source))
        })
    }
}

impl Default for RecvBatch {
    fn default() -> Self {
        Self::new()
    }
}
