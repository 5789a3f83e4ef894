//! Datagram sockets that are read and written in batches.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

pub use crate::msghdr::BATCH_SIZE;
use crate::msghdr::MsgHdr;
use crate::socket::{bind_source, inherit as inherit_socket, invalid_input};
use crate::sys::{self, RecvStatus};

/// Octets of one receive buffer. Queries are far shorter; a longer datagram is marked as truncated.
pub const BUFFER_SIZE: usize = 4096;

/// A bound datagram socket, non-blocking, that shares its port with others of the same user (`SO_REUSEPORT`) and may be
/// bound to an address that the node does not have yet (`IP_FREEBIND`).
///
/// On a wildcard address (`0.0.0.0`, `[::]`) every datagram tells which address was asked, and replies leave from there.
/// `[::]` means IPv6 only.
#[derive(Debug)]
pub struct UdpListener {
    socket: UdpSocket,
}

/// Octets that datagrams may take while they wait, the kernel's own bookkeeping included. Taken only when needed.
const QUEUE_LEN: usize = 2 << 20;

impl UdpListener {
    /// Opens a socket and binds it to `addr`; port 0 lets the kernel choose.
    ///
    /// # Errors
    ///
    /// What the kernel says: `AddrInUse` when a socket without `SO_REUSEPORT` or of another user holds the port,
    /// `PermissionDenied` for a port below 1024 without `CAP_NET_BIND_SERVICE`.
    pub fn bind(addr: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(addr), Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
        if addr.is_ipv4() {
            socket.set_freebind_v4(true)?;
        } else {
            socket.set_only_v6(true)?;
            socket.set_freebind_v6(true)?;
        }
        tell_local(&socket, addr.ip())?;
        socket.set_reuse_port(true)?;
        lengthen_queue(&socket)?;
        socket.bind(&addr.into())?;
        Ok(Self { socket: socket.into() })
    }

    /// Takes over a socket that another process made by [`UdpListener::bind`] for `addr` and passed on, with all
    /// datagrams that are queued in it.
    ///
    /// # Errors
    ///
    /// `InvalidInput` with the reason when the kernel says that it is anything else than such a socket, or bound to
    /// another address; it is closed then.
    pub fn inherit(descriptor: OwnedFd, addr: SocketAddr) -> io::Result<Self> {
        let socket = inherit_socket(descriptor, Type::DGRAM, Protocol::UDP, addr)?;
        if addr.is_ipv6() && !socket.only_v6()? {
            return Err(invalid_input(format!("the socket on {addr} takes IPv4 as well")));
        }
        tell_local(&socket, addr.ip())?;
        Ok(Self { socket: socket.into() })
    }

    /// The same socket under a second descriptor, e.g. to pass it on while this one is still read. Each datagram goes to
    /// whoever reads first; the socket is closed when all its descriptors are.
    ///
    /// # Errors
    ///
    /// No descriptor is left.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { socket: self.socket.try_clone()? })
    }

    /// The address and port that the socket is bound to.
    ///
    /// # Errors
    ///
    /// What `getsockname` says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// A second descriptor of the same socket, registered with the current tokio runtime, that tells when datagrams are
    /// queued: `readiness.async_io(Interest::READABLE, || listener.receive(&mut batch)).await`. The port is free again
    /// when both are dropped.
    ///
    /// It is a socket because `AsyncFd`, which would borrow the listener's own descriptor, has no safe constructor.
    ///
    /// # Errors
    ///
    /// No descriptor is left, or the runtime cannot watch it.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O, as every socket of tokio's does.
    pub fn readiness(&self) -> io::Result<tokio::net::UdpSocket> {
        tokio::net::UdpSocket::from_std(self.socket.try_clone()?)
    }

    /// Replaces what `batch` holds by the datagrams that are queued, at most [`BATCH_SIZE`], and returns their number.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when nothing is queued, else what `recvmmsg` says; `batch` is empty then.
    pub fn receive(&self, batch: &mut RecvBatch) -> io::Result<usize> {
        batch.count = 0;
        batch.count =
            sys::receive(self.as_fd(), &mut batch.buffers, &mut batch.msghdrs, &mut batch.statuses)?;
        Ok(batch.count)
    }

    /// Sends `(octets, peer, local)` each, in order, [`BATCH_SIZE`] per call to the kernel; `local` is the address to leave
    /// from, as [`RecvMeta::local`] had it.
    ///
    /// A datagram that the kernel refuses is left out and the rest goes on. When the socket's queue is full the rest is
    /// dropped: a client asks again, and a server that waits for its slowest client serves nobody.
    pub fn send<'a, I>(&self, replies: I) -> SendOutcome
    where
        I: IntoIterator<Item = (&'a [u8], SocketAddr, Option<IpAddr>)>,
    {
        let mut sent = SendOutcome::default();
        let mut datagrams: [&[u8]; BATCH_SIZE] = [&[]; BATCH_SIZE];
        let mut msghdrs = [MsgHdr::EMPTY; BATCH_SIZE];
        let mut replies = replies.into_iter().fuse();
        loop {
            let mut count = 0;
            let slots = datagrams.iter_mut().zip(&mut msghdrs);
            // The slot comes first: `zip` asks its left side first, and a reply taken without a slot would be lost.
            for ((datagram, msghdr), (octets, peer, local)) in slots.zip(&mut replies) {
                *datagram = octets;
                *msghdr = MsgHdr::to(peer, local);
                count += 1;
            }
            if count == 0 {
                return sent;
            }
            if !self.flush(&datagrams, &msghdrs, count, &mut sent) {
                sent.dropped += replies.count();
                return sent;
            }
        }
    }

    /// Sends the first `count` of a batch; false when the queue was full and the rest of it was dropped.
    fn flush(&self, datagrams: &[&[u8]], msghdrs: &[MsgHdr], count: usize, sent: &mut SendOutcome) -> bool {
        let mut done = 0;
        while let (Some(datagrams), Some(msghdrs)) = (datagrams.get(done..count), msghdrs.get(done..count))
            && !datagrams.is_empty()
        {
            match sys::send(self.as_fd(), datagrams, msghdrs) {
                Ok(taken) => {
                    done += taken;
                    sent.sent += taken;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    sent.dropped += datagrams.len();
                    return false;
                }
                Err(error) => {
                    done += 1;
                    sent.refused += 1;
                    sent.last_error = Some(error);
                }
            }
        }
        true
    }

    /// Datagrams that the kernel dropped since the socket was made because its receive queue was full or their checksum
    /// was wrong. Wraps at 2^32.
    ///
    /// # Errors
    ///
    /// What `getsockopt` says; kernels before 4.12 do not know the question.
    pub fn queue_overflows(&self) -> io::Result<u32> {
        sys::dropped_datagrams(self.as_fd())
    }
}

/// A non-blocking datagram socket connected to `addr`, on a source port that the kernel chooses afresh, and from `source`
/// if one is given. Whatever the network says about its datagrams, e.g. that the port or host cannot be reached, shows as the error of the next call.
///
/// # Errors
///
/// What the kernel says: `NetworkUnreachable` without a route, `AddrNotAvailable` when the node does not have `source`, or
/// no descriptor or source port left.
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

/// On a wildcard address, has every datagram tell which address was asked.
fn tell_local(socket: &Socket, bound: IpAddr) -> io::Result<()> {
    match bound {
        IpAddr::V4(bound) if bound.is_unspecified() => setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?,
        IpAddr::V6(bound) if bound.is_unspecified() => {
            setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        }
        _ => {}
    }
    Ok(())
}

/// Lets a burst of a few thousand queries wait while the worker is busy; the kernel's default holds about 250. Beyond
/// the limit of the machine (`net.core.rmem_max`) only with `CAP_NET_ADMIN`; otherwise the limit is what we get.
fn lengthen_queue(socket: &Socket) -> io::Result<()> {
    match setsockopt(socket, sockopt::RcvBufForce, &QUEUE_LEN) {
        Err(nix::errno::Errno::EPERM) => socket.set_recv_buffer_size(QUEUE_LEN),
        done => Ok(done?),
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

/// What became of the datagrams handed to [`UdpListener::send`].
#[derive(Debug, Default)]
pub struct SendOutcome {
    /// Taken by the kernel.
    pub sent: usize,
    /// Refused one by one, e.g. for a peer without a route.
    pub refused: usize,
    /// Not tried because the socket's queue was full.
    pub dropped: usize,
    /// Why the last of `refused` was.
    pub last_error: Option<io::Error>,
}

/// Where a datagram came from and where it went to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RecvMeta {
    /// The sender.
    pub peer: SocketAddr,
    /// The address that was asked; present only on sockets bound to a wildcard address.
    pub local: Option<IpAddr>,
    /// The datagram was longer than [`BUFFER_SIZE`] octets and only its beginning is here.
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

    /// The datagrams of the last batch in the order of their status.
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
