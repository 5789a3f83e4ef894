//! System calls without a suitable safe wrapper in any crate: `recvmmsg`, `sendmmsg`, SO_MEMINFO,
//! `recvmsg` with SCM_RIGHTS, `fork`, a parameter of malloc, registration of a descriptor with tokio, tables of
//! x_tables, a handler of SIGSYS. Every `unsafe` block of the project is in this module.

pub(crate) mod violation;
pub(crate) mod xtables;

use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use nix::unistd::ForkResult;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::msghdr::{BATCH_SIZE, MsgHdr, NAME_OCTETS, ScmRightsBuffer};

/// `BATCH_SIZE` in the type that `recvmmsg` and `sendmmsg` count in.
const BATCH_COUNT: libc::c_uint = 32;
const _: () = assert!(BATCH_COUNT as usize == BATCH_SIZE);

/// Length and truncation of one received datagram.
#[derive(Clone, Copy)]
pub(crate) struct RecvStatus {
    /// Octets written to the buffer.
    pub(crate) length: usize,
    /// The datagram was longer than the buffer.
    pub(crate) truncated: bool,
}

/// Receives up to [`BATCH_SIZE`] queued datagrams, one per buffer, without waiting.
///
/// Returns their number; msghdrs and statuses beyond it are meaningless.
///
/// # Errors
///
/// `WouldBlock` when nothing is queued, else the error of `recvmmsg`.
pub(crate) fn receive<const SIZE: usize>(
    socket: BorrowedFd<'_>,
    buffers: &mut [[u8; SIZE]; BATCH_SIZE],
    msghdrs: &mut [MsgHdr; BATCH_SIZE],
    statuses: &mut [RecvStatus; BATCH_SIZE],
) -> io::Result<usize> {
    let mut iovecs = [NO_IOVEC; BATCH_SIZE];
    let mut headers = [no_header(); BATCH_SIZE];
    let memory = buffers.iter_mut().zip(msghdrs.iter_mut()).zip(&mut iovecs);
    for (header, ((buffer, msghdr), iovec)) in headers.iter_mut().zip(memory) {
        *iovec = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: SIZE };
        header.msg_hdr.msg_iov = iovec;
        header.msg_hdr.msg_iovlen = 1;
        header.msg_hdr.msg_name = msghdr.name.as_mut_ptr().cast();
        header.msg_hdr.msg_namelen = NAME_OCTETS;
        header.msg_hdr.msg_control = msghdr.control.as_mut_ptr().cast();
        header.msg_hdr.msg_controllen = msghdr.control.len();
    }
    let received = retry(|| {
        // SAFETY: `headers` holds BATCH_COUNT initialised headers. Each names one element of
        // `iovecs`, which names one whole buffer, and the name and control arrays of one msghdr
        // with their true sizes; all of them are exclusively borrowed by this function and live
        // past the call, no two overlap, and any octets are valid in them. The null timeout is
        // allowed. The descriptor is open for as long as `socket` is borrowed. nix's `recvmmsg` is
        // no replacement: it keeps the name and control lengths that the previous call left.
        unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH_COUNT,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        }
    })?;
    for ((header, msghdr), status) in headers.iter().zip(msghdrs).zip(statuses).take(received) {
        msghdr.name_len = header.msg_hdr.msg_namelen;
        msghdr.control_len = header.msg_hdr.msg_controllen;
        status.length = usize::try_from(header.msg_len).unwrap_or(SIZE).min(SIZE);
        status.truncated = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
    }
    Ok(received)
}

/// Sends datagrams in order, each with its msghdr, up to [`BATCH_SIZE`] or the shorter of the two
/// slices, without waiting.
///
/// Returns the number sent. The next datagram, if there is one, was refused: a call that starts
/// with it returns its error.
///
/// # Errors
///
/// The error of the first datagram; `WouldBlock` when the socket's queue is full.
pub(crate) fn send(socket: BorrowedFd<'_>, datagrams: &[&[u8]], msghdrs: &[MsgHdr]) -> io::Result<usize> {
    let mut iovecs = [const { MaybeUninit::<libc::iovec>::uninit() }; BATCH_SIZE];
    let mut headers = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; BATCH_SIZE];
    let mut count = 0;
    let messages = datagrams.iter().zip(msghdrs).zip(&mut iovecs);
    for (header, ((datagram, msghdr), iovec)) in headers.iter_mut().zip(messages) {
        let header = header.write(no_header());
        let octets = datagram.as_ptr().cast_mut().cast();
        header.msg_hdr.msg_iov = iovec.write(libc::iovec { iov_base: octets, iov_len: datagram.len() });
        header.msg_hdr.msg_iovlen = 1;
        header.msg_hdr.msg_name = msghdr.name.as_ptr().cast_mut().cast();
        header.msg_hdr.msg_namelen = msghdr.name_len.min(NAME_OCTETS);
        if msghdr.control_len > 0 {
            header.msg_hdr.msg_control = msghdr.control.as_ptr().cast_mut().cast();
            header.msg_hdr.msg_controllen = msghdr.control_len.min(msghdr.control.len());
        }
        count += 1;
    }
    retry(|| {
        // SAFETY: the first `count` headers are filled in, `count` is at most BATCH_SIZE, and each
        // names one element of `iovecs`, which names one whole datagram, and the name and control
        // of one msghdr; all are borrowed past the call. The kernel writes to none of them but the
        // headers, which are ours, so the pointers made from shared borrows are only read through.
        // No length exceeds its array. nix's `sendmmsg` is no replacement: all its messages share
        // one set of control messages.
        unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr().cast(), count, libc::MSG_DONTWAIT) }
    })
}

/// Has all threads allocate from one arena of glibc. Further ones are fragmented by entries that one worker
/// allocates and another frees, and shrinking them reads a file of /proc, which most threads may not. To be
/// called before there are threads.
pub(crate) fn limit_malloc_arenas() {
    // SAFETY: sets a parameter of malloc, while there is one thread.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

/// Octets in the send queue of a TCP socket: not sent, or not acknowledged (tcp(7), SIOCOUTQ).
///
/// # Errors
///
/// The error of `ioctl`.
pub(crate) fn unacknowledged_octets(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let mut octets: libc::c_int = 0;
    retry(|| {
        // SAFETY: SIOCOUTQ, which has the number of TIOCOUTQ, writes one int, and `octets` outlives
        // the call. Neither nix nor socket2 has it.
        unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut octets) }
    })?;
    Ok(usize::try_from(octets).unwrap_or_default())
}

/// The state of a TCP connection (tcp(7), TCP_INFO).
///
/// # Errors
///
/// The error of `getsockopt`.
pub(crate) fn tcp_state(socket: BorrowedFd<'_>) -> io::Result<u8> {
    // The first octet of `struct tcp_info`, `tcpi_state`.
    let mut state = 0_u8;
    let mut length: libc::socklen_t = 1;
    retry(|| {
        let value: *mut u8 = &raw mut state;
        // SAFETY: `state` is writable for the one octet that is announced, and the kernel writes at
        // most `length` octets and then the number it wrote to `length`. Both outlive the call.
        // Neither nix nor socket2 has TCP_INFO.
        unsafe {
            libc::getsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, value.cast(), &mut length)
        }
    })?;
    Ok(state)
}

/// The receive queue of a socket.
pub(crate) struct QueueInfo {
    /// Octets charged to it, kernel overhead included.
    pub(crate) octets: u32,
    /// Datagrams that the kernel dropped before they were read, since the socket was created. Wraps
    /// at 2^32.
    pub(crate) drops: u32,
}

/// The state of a receive queue (SO_MEMINFO).
///
/// # Errors
///
/// The error of `getsockopt`.
pub(crate) fn queue_info(socket: BorrowedFd<'_>) -> io::Result<QueueInfo> {
    // SK_MEMINFO_VARS counters (linux/sock_diag.h); SK_MEMINFO_RMEM_ALLOC is the first,
    // SK_MEMINFO_DROPS the ninth.
    const COUNTERS: libc::socklen_t = 9;
    let mut counters = [0_u32; COUNTERS as usize];
    let mut length = COUNTERS * 4;
    retry(|| {
        // SAFETY: `counters` is writable for the `length` octets that are announced, any octets are
        // a valid u32, and the kernel writes at most `length` octets and then the number it wrote
        // to `length`. Both outlive the call. Neither nix nor socket2 has SO_MEMINFO.
        unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_MEMINFO,
                counters.as_mut_ptr().cast(),
                &mut length,
            )
        }
    })?;
    let [octets, .., drops] = counters;
    Ok(QueueInfo { octets, drops })
}

/// Octets and descriptors received by one call on a Unix socket.
pub(crate) struct ReceivedRights {
    /// Octets written to the buffer.
    pub(crate) length: usize,
    /// The descriptors, with close-on-exec.
    pub(crate) descriptors: Vec<OwnedFd>,
    /// The kernel had more control data than it delivered (MSG_CTRUNC).
    pub(crate) truncated: bool,
}

/// Receives octets and up to `MAX` descriptors, in one call.
///
/// # Errors
///
/// The error of `recvmsg`.
pub(crate) fn receive_descriptors<const MAX: usize>(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> io::Result<ReceivedRights> {
    let mut iovec = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut control = ScmRightsBuffer::<MAX>::EMPTY;
    let libc::mmsghdr { msg_hdr: mut header, .. } = no_header();
    header.msg_iov = &mut iovec;
    header.msg_iovlen = 1;
    header.msg_control = ptr::from_mut(&mut control).cast();
    header.msg_controllen = ScmRightsBuffer::<MAX>::LEN;
    let length = retry(|| {
        // SAFETY: `header` is initialised and names one iovec, which names the whole of `buffer`,
        // and `control`, which is at least as long as is announced; both are exclusively borrowed
        // past the call, and any octets are valid in them. No name is requested. The descriptor is
        // open for as long as `socket` is borrowed. nix's `recvmsg` is no replacement: of control
        // data that was cut short it shows none, and the descriptors in it would stay open for
        // ever.
        unsafe { libc::recvmsg(socket.as_raw_fd(), &mut header, libc::MSG_CMSG_CLOEXEC) }
    })?;
    let numbers = control.descriptors(header.msg_controllen);
    let descriptors = numbers
        .map(|number| {
            // SAFETY: the kernel has just opened this descriptor for us and wrote its number into
            // `control`, which only the kernel wrote to; each number is read once, and nothing else
            // in the process knows it yet. What a peer sends as octets goes to `buffer` and never
            // here.
            unsafe { OwnedFd::from_raw_fd(number) }
        })
        .collect();
    Ok(ReceivedRights { length, descriptors, truncated: header.msg_flags & libc::MSG_CTRUNC != 0 })
}

const NO_IOVEC: libc::iovec = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };

/// Registers a descriptor with the event loop of tokio, for reading.
///
/// # Errors
/// The event loop cannot wait for descriptors of this kind.
pub(crate) fn register_readable(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open, and its number stays the same, until it is dropped, which
    // `AsyncFd` does after it has deregistered it; `AsyncFd` gives no mutable access that replaces it,
    // since its one user has a shared reference.
    Ok(unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }?)
}

/// Creates a process. The caller has one thread.
///
/// # Errors
/// The system refuses a process, or the caller has other threads.
pub(crate) fn fork() -> io::Result<ForkResult> {
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::other("a process with several threads is not duplicated"));
    }
    // SAFETY: no other thread could have held a lock, e.g. of the allocator, which would stay locked in
    // the child.
    Ok(unsafe { nix::unistd::fork() }?)
}

fn no_header() -> libc::mmsghdr {
    // SAFETY: `mmsghdr` is made of integers and pointers only, for which zero is a value; some C
    // libraries give it private padding fields, so that it cannot be written down as a literal.
    unsafe { mem::zeroed() }
}

/// Repeats a call that a signal interrupted; converts -1 to the error in `errno`.
fn retry<R>(mut call: impl FnMut() -> R) -> io::Result<usize>
where
    usize: TryFrom<R>,
{
    loop {
        match usize::try_from(call()) {
            Ok(result) => return Ok(result),
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}
