//! Batches of datagrams, received and sent with one system call each.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;

use crate::msghdr::{BATCH_SIZE, MsgHdr};
use crate::socket::is_packet_filter_reject;
use crate::sys::{self, RecvStatus};

/// Octets of one receive buffer. Queries are far shorter; longer datagrams are marked as truncated.
pub const BUFFER_SIZE: usize = 4096;

/// The outcome of [`UdpListener::send`](super::UdpListener::send), in datagrams.
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

    /// [`UdpListener::send`](super::UdpListener::send).
    pub(super) fn send<'a, I>(&mut self, socket: BorrowedFd<'_>, replies: I) -> SendOutcome
    where
        I: IntoIterator<Item = (&'a [u8], SocketAddr, Option<IpAddr>)>,
    {
        let mut sent = SendOutcome::default();
        let mut datagrams: [&[u8]; BATCH_SIZE] = [&[]; BATCH_SIZE];
        let mut replies = replies.into_iter().fuse();
        loop {
            let mut count = 0;
            let slots = datagrams.iter_mut().zip(self.msghdrs.iter_mut());
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
            if !flush(socket, (&datagrams, &*self.msghdrs, count), &mut sent) {
                sent.dropped += replies.count();
                return sent;
            }
        }
    }
}

impl Default for SendBatch {
    fn default() -> Self {
        Self::new()
    }
}

/// Sends the first `count` of a batch; false when the queue was full and the rest was dropped.
fn flush(
    socket: BorrowedFd<'_>,
    (datagrams, msghdrs, count): (&[&[u8]], &[MsgHdr], usize),
    sent: &mut SendOutcome,
) -> bool {
    let mut next = 0;
    while let (Some(datagrams), Some(msghdrs)) = (datagrams.get(next..count), msghdrs.get(next..count))
        && !datagrams.is_empty()
    {
        match sys::send(socket, datagrams, msghdrs) {
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

    /// [`UdpListener::receive`](super::UdpListener::receive).
    pub(super) fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.count = 0;
        self.count = sys::receive(socket, &mut self.buffers, &mut self.msghdrs, &mut self.statuses)?;
        Ok(self.count)
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
