//! The floor: a UDP and TCP echo server of plain system calls, without any code of the daemon's.
//! The only `unsafe` of this crate.
//!
//! epoll waits; a batch of datagrams takes one `recvmmsg` and one `sendmmsg` on arrays that persist,
//! and each datagram goes back to the address as it was received; a batch that is not full has
//! emptied the queue, so that no call ends in EAGAIN. Octets of a TCP connection go back as they
//! arrive.

use std::collections::HashMap;
use std::io::{self, Read, Write, stdout};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};

use nix::sys::socket::{setsockopt, sockopt};

use crate::cpu;
use crate::output::BenchError;
use crate::servers;

/// Datagrams per system call, as in the daemon.
const BATCH_SIZE: usize = 32;
/// Octets of a receive buffer.
const BUFFER_SIZE: usize = 4096;
/// Octets of the receive queue, more than any number of outstanding queries.
const RECEIVE_QUEUE: usize = 1 << 20;
/// Events per `epoll_wait`.
const MAX_EVENTS: usize = 64;

/// Prints the port, then echoes until killed.
pub(crate) fn run() -> Result<(), BenchError> {
    cpu::die_with_parent()?;
    let addr = (Ipv4Addr::LOCALHOST, servers::free_port()?);
    let (udp, tcp) = (UdpSocket::bind(addr)?, TcpListener::bind(addr)?);
    udp.set_nonblocking(true)?;
    tcp.set_nonblocking(true)?;
    setsockopt(&udp, sockopt::RcvBuf, &RECEIVE_QUEUE)?;
    crate::output::print(&mut stdout(), &addr.1.to_string());
    Ok(serve(&udp, &tcp)?)
}

fn serve(udp: &UdpSocket, tcp: &TcpListener) -> io::Result<()> {
    let mut epoll = Epoll::new()?;
    epoll.add(udp.as_raw_fd())?;
    epoll.add(tcp.as_raw_fd())?;
    let mut batch = Batch::new();
    let mut connections = HashMap::new();
    loop {
        let ready = epoll.wait()?;
        for fd in ready {
            if fd == udp.as_raw_fd() {
                while batch.receive(fd)? {
                    batch.send(fd)?;
                }
                batch.send(fd)?;
            } else if fd == tcp.as_raw_fd() {
                let (stream, _) = tcp.accept()?;
                stream.set_nodelay(true)?;
                epoll.add(stream.as_raw_fd())?;
                connections.insert(stream.as_raw_fd(), stream);
            } else if connections.get_mut(&fd).is_some_and(|stream| !echo(stream)) {
                connections.remove(&fd);
            }
        }
    }
}

/// Sends back what has arrived; false at the end of the connection.
fn echo(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 1 << 14];
    let read = stream.read(&mut buffer).unwrap_or(0);
    read > 0 && buffer.get(..read).is_some_and(|octets| stream.write_all(octets).is_ok())
}

/// An epoll instance for readability.
struct Epoll {
    fd: RawFd,
    events: [libc::epoll_event; MAX_EVENTS],
}

impl Epoll {
    fn new() -> io::Result<Self> {
        // SAFETY: takes no pointer.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        Ok(Self { fd, events: [libc::epoll_event { events: 0, u64: 0 }; MAX_EVENTS] })
    }

    fn add(&self, fd: RawFd) -> io::Result<()> {
        let interest = libc::EPOLLIN.cast_unsigned();
        let mut event = libc::epoll_event { events: interest, u64: u64::from(fd.cast_unsigned()) };
        // SAFETY: the event is valid for the call, which does not keep the pointer.
        check(unsafe { libc::epoll_ctl(self.fd, libc::EPOLL_CTL_ADD, fd, &raw mut event) }).map(drop)
    }

    /// Waits, and returns the descriptors that are readable.
    fn wait(&mut self) -> io::Result<impl Iterator<Item = RawFd> + use<>> {
        let capacity = i32::try_from(MAX_EVENTS).unwrap_or(i32::MAX);
        // SAFETY: the array has `capacity` elements and lives longer than the call.
        let ready = check(unsafe { libc::epoll_wait(self.fd, self.events.as_mut_ptr(), capacity, -1) })?;
        let ready = usize::try_from(ready).unwrap_or(0);
        Ok(self.events.into_iter().take(ready).filter_map(|event| RawFd::try_from(event.u64).ok()))
    }
}

/// The arrays of `recvmmsg` and `sendmmsg`, which point into each other.
struct Batch {
    headers: Vec<libc::mmsghdr>,
    /// The heap blocks that `headers` points into; none is resized.
    vectors: Vec<libc::iovec>,
    _peers: Vec<libc::sockaddr_in>,
    _buffers: Vec<[u8; BUFFER_SIZE]>,
    /// Datagrams in the arrays.
    received: usize,
}

impl Batch {
    fn new() -> Self {
        let mut buffers = vec![[0_u8; BUFFER_SIZE]; BATCH_SIZE];
        // SAFETY: a `sockaddr_in` of zeros is valid.
        let mut peers = vec![unsafe { std::mem::zeroed::<libc::sockaddr_in>() }; BATCH_SIZE];
        let vector = |buffer: &mut [u8; BUFFER_SIZE]| libc::iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: BUFFER_SIZE,
        };
        let mut vectors: Vec<_> = buffers.iter_mut().map(vector).collect();
        let header = |(vector, peer): (&mut libc::iovec, &mut libc::sockaddr_in)| {
            // SAFETY: an `mmsghdr` of zeros is valid: null pointers with lengths of 0.
            let mut header = unsafe { std::mem::zeroed::<libc::mmsghdr>() };
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_name = std::ptr::from_mut(peer).cast();
            header.msg_hdr.msg_namelen = u32::try_from(size_of_val(peer)).unwrap_or(u32::MAX);
            header
        };
        let headers = vectors.iter_mut().zip(&mut peers).map(header).collect();
        Self { headers, vectors, _peers: peers, _buffers: buffers, received: 0 }
    }

    /// Receives a batch; true when it is full, so that more may wait.
    fn receive(&mut self, fd: RawFd) -> io::Result<bool> {
        let capacity = u32::try_from(self.headers.len()).unwrap_or(u32::MAX);
        let headers = self.headers.as_mut_ptr();
        // SAFETY: the array has `capacity` headers; the vectors, addresses and buffers that they
        // point to are owned by `self`, and each buffer has the length of its vector.
        let received = unsafe { libc::recvmmsg(fd, headers, capacity, 0, std::ptr::null_mut()) };
        self.received = match check(received) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            received => usize::try_from(received?).unwrap_or(0),
        };
        Ok(self.received == self.headers.len())
    }

    /// Sends the batch back. What the send queue cannot take is lost.
    fn send(&mut self, fd: RawFd) -> io::Result<()> {
        if self.received == 0 {
            return Ok(());
        }
        let batch = self.headers.iter().zip(&mut self.vectors).take(self.received);
        for (header, vector) in batch {
            vector.iov_len = usize::try_from(header.msg_len).unwrap_or(BUFFER_SIZE);
        }
        let count = u32::try_from(self.received).unwrap_or(0);
        // SAFETY: as in `receive`; `count` is at most the length of the array.
        let sent = unsafe { libc::sendmmsg(fd, self.headers.as_mut_ptr(), count, 0) };
        for vector in self.vectors.iter_mut().take(self.received) {
            vector.iov_len = BUFFER_SIZE;
        }
        self.received = 0;
        match check(sent) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }
}

/// The result of a system call, which is negative on failure.
fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
