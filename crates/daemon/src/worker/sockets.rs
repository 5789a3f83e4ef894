//! Listening sockets: one UDP and one TCP socket per address and worker (SO_REUSEPORT).
//!
//! Workers read duplicates. The control thread keeps the originals, to hand them to a successor or
//! to read them again if that fails.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};

use linux::binder::Binder;
use linux::udp::{MAX_QUEUE_OCTETS, UdpListener, UdpReadiness};
use nix::errno::Errno;
use resolver::action::Transport;
use resolver::policy::ListenerId;
use tokio::runtime::Handle;

/// The `listen(2)` backlog: connections that the kernel queues for a busy worker.
const BACKLOG: i32 = 1024;

/// Of a UDP receive queue: a few hundred queries, about as many as the kernel's default.
const MIN_QUEUE_OCTETS: usize = 256 << 10;

/// The sockets of one listener for one worker.
pub(crate) struct Sockets {
    listener: ListenerId,
    udp: Vec<UdpListener>,
    tcp: Vec<TcpListener>,
}

/// [`Sockets`] registered with the runtime of the worker, which has nothing left to do that could
/// fail. Nothing is read from them yet.
pub(crate) struct RegisteredSockets {
    pub(super) listener: ListenerId,
    pub(super) udp: Vec<RegisteredUdp>,
    pub(super) tcp: Vec<tokio::net::TcpListener>,
}

pub(super) struct RegisteredUdp {
    pub(super) listener: UdpListener,
    /// The address it is bound to.
    pub(super) own: SocketAddr,
    pub(super) readiness: UdpReadiness,
}

impl Sockets {
    /// Registers the sockets with a worker's runtime, from any thread.
    ///
    /// # Errors
    /// The process is out of descriptors, or the kernel out of memory.
    pub(super) fn register(self, runtime: &Handle) -> io::Result<RegisteredSockets> {
        let _guard = runtime.enter();
        let register = |listener: UdpListener| {
            let (own, readiness) = (listener.local_addr()?, listener.readiness()?);
            Ok(RegisteredUdp { listener, own, readiness })
        };
        let udp = self.udp.into_iter().map(register).collect::<io::Result<_>>()?;
        let tcp = self.tcp.into_iter().map(tokio::net::TcpListener::from_std).collect::<io::Result<_>>()?;
        Ok(RegisteredSockets { listener: self.listener, udp, tcp })
    }
}

/// Sockets received from another instance, by address: as many as it has workers.
#[derive(Debug, Default)]
pub(crate) struct InheritedSockets {
    pub(crate) udp: HashMap<SocketAddr, Vec<UdpListener>>,
    pub(crate) tcp: HashMap<SocketAddr, Vec<TcpListener>>,
}

impl InheritedSockets {
    /// The addresses that the other instance serves.
    pub(crate) fn addresses(&self) -> BTreeSet<SocketAddr> {
        self.udp.keys().chain(self.tcp.keys()).copied().collect()
    }
}

/// A UDP socket that serves an address, to send from that address.
pub(crate) struct ServingSocket {
    pub(crate) address: SocketAddr,
    /// The source address, if the socket is bound to the wildcard address.
    pub(crate) source: Option<IpAddr>,
    pub(crate) socket: UdpListener,
}

/// Every DNS socket of the process, ordered by listener.
#[derive(Debug, Default)]
pub(crate) struct ListeningSockets {
    sockets: Vec<ListeningSocket>,
}

/// The limits of receive queues, which a thread with CAP_NET_ADMIN can set beyond `rmem_max`.
pub(crate) struct QueueLimits {
    sockets: Vec<UdpListener>,
    octets: usize,
}

impl QueueLimits {
    pub(crate) fn set(self) {
        for socket in self.sockets {
            // On a failure the queue keeps its limit.
            socket.limit_queue(self.octets).ok();
        }
    }
}

/// The sockets of listeners that are not read yet. Dropping them closes the sockets.
#[derive(Default)]
pub(crate) struct OpenedSockets {
    originals: Vec<ListeningSocket>,
}

/// Why listeners were not opened.
pub(crate) enum OpenError {
    /// An address cannot be bound.
    Bind(SocketAddr, io::Error),
    /// The process is out of descriptors, or the kernel out of memory.
    Resources(io::Error),
}

#[derive(Debug)]
struct ListeningSocket {
    listener: ListenerId,
    worker: usize,
    address: SocketAddr,
    socket: Socket,
    /// Bound by this process, so that no predecessor has it.
    is_own: bool,
}

#[derive(Debug)]
enum Socket {
    Udp(UdpListener),
    Tcp(TcpListener),
}

impl OpenedSockets {
    /// Opens UDP and TCP on each address for each of `workers`, reusing `inherited` sockets. A
    /// listener with the wildcard addresses of both families works on a kernel without IPv6. On
    /// failure nothing has changed, except that `inherited` has fewer sockets.
    ///
    /// # Errors
    /// The first address that could not be opened.
    pub(crate) fn open(
        binder: &Binder,
        listeners: &[(ListenerId, Vec<SocketAddr>)],
        workers: usize,
        inherited: &mut InheritedSockets,
    ) -> Result<Self, OpenError> {
        let mut originals = Vec::new();
        for (listener, addresses) in listeners {
            for &address in addresses {
                let reused = (inherited.udp.remove(&address), inherited.tcp.remove(&address));
                match open(binder, address, workers, reused) {
                    Err(error) if addresses.len() > 1 && is_unsupported_family(&error) => {}
                    Err(error) if is_out_of_descriptors(&error) => return Err(OpenError::Resources(error)),
                    Err(error) => return Err(OpenError::Bind(address, error)),
                    Ok(sockets) => {
                        originals.extend(sockets.into_iter().map(|(worker, is_own, socket)| {
                            ListeningSocket { listener: *listener, worker, address, socket, is_own }
                        }));
                    }
                }
            }
        }
        Ok(Self { originals })
    }

    /// Duplicates of the sockets, for each of `workers`.
    ///
    /// # Errors
    /// The process is out of descriptors.
    pub(crate) fn duplicate(&self, workers: usize) -> io::Result<Vec<Vec<Sockets>>> {
        duplicate(&self.originals, workers)
    }
}

impl ListeningSockets {
    /// Adds sockets that are read from now on.
    pub(crate) fn add(&mut self, opened: OpenedSockets) {
        self.sockets.extend(opened.originals);
    }

    /// Adds the sockets that a successor had bound itself, where this process has the listener.
    pub(crate) fn extend(&mut self, sockets: InheritedSockets, workers: usize) {
        let udp = sockets.udp.into_iter().flat_map(|(address, sockets)| {
            sockets.into_iter().map(move |socket| (address, Socket::Udp(socket)))
        });
        let tcp = sockets.tcp.into_iter().flat_map(|(address, sockets)| {
            sockets.into_iter().map(move |socket| (address, Socket::Tcp(socket)))
        });
        for ((address, socket), worker) in udp.chain(tcp).zip(round_robin(workers)) {
            let same_address = self.sockets.iter().find(|known| known.address == address);
            if let Some(listener) = same_address.map(|known| known.listener) {
                self.sockets.push(ListeningSocket { listener, worker, address, socket, is_own: true });
            }
        }
        // `duplicate` groups the sockets of a listener.
        self.sockets.sort_by_key(|socket| socket.listener.0);
    }

    /// Divides `octets` among the receive queues of all UDP sockets.
    pub(crate) fn queue_limits(&self, octets: u64) -> QueueLimits {
        let udp = || self.sockets.iter().filter_map(|socket| socket.socket.as_udp());
        let share = usize::try_from(octets).unwrap_or(usize::MAX) / udp().count().max(1);
        QueueLimits {
            // Without a descriptor the queue keeps its limit, which is a usual one.
            sockets: udp().filter_map(|socket| socket.try_clone().ok()).collect(),
            octets: share.clamp(MIN_QUEUE_OCTETS, MAX_QUEUE_OCTETS),
        }
    }

    /// Closes the originals of `listeners`.
    pub(crate) fn close(&mut self, listeners: &[ListenerId]) {
        self.sockets.retain(|socket| !listeners.contains(&socket.listener));
    }

    /// Duplicates of all sockets, for each of `workers`.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub(crate) fn duplicate(&self, workers: usize) -> io::Result<Vec<Vec<Sockets>>> {
        duplicate(&self.sockets, workers)
    }

    /// For each of these addresses that is served, a second descriptor of one of its UDP sockets.
    ///
    /// # Errors
    /// The process is out of descriptors.
    pub(crate) fn serving(&self, addresses: &[SocketAddr]) -> io::Result<Vec<ServingSocket>> {
        let serving = addresses.iter().filter_map(|&address| {
            let wildcard = match address {
                SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            [(address, None), (SocketAddr::new(wildcard, address.port()), Some(address.ip()))]
                .into_iter()
                .find_map(|(bound, source)| {
                    let is_bound = |known: &&ListeningSocket| known.address == bound;
                    let socket =
                        self.sockets.iter().filter(is_bound).find_map(|known| known.socket.as_udp())?;
                    Some(socket.try_clone().map(|socket| ServingSocket { address, source, socket }))
                })
        });
        serving.collect()
    }

    /// All sockets, for the hand-over.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Transport, SocketAddr, BorrowedFd<'_>)> {
        self.sockets.iter().map(ListeningSocket::description)
    }

    /// The sockets bound by this process, which no predecessor has.
    pub(crate) fn own(&self) -> impl Iterator<Item = (Transport, SocketAddr, BorrowedFd<'_>)> {
        self.sockets.iter().filter(|socket| socket.is_own).map(ListeningSocket::description)
    }
}

impl Socket {
    fn as_udp(&self) -> Option<&UdpListener> {
        match self {
            Self::Udp(socket) => Some(socket),
            Self::Tcp(_) => None,
        }
    }
}

impl ListeningSocket {
    fn description(&self) -> (Transport, SocketAddr, BorrowedFd<'_>) {
        match &self.socket {
            Socket::Udp(socket) => (Transport::Udp, self.address, socket.as_fd()),
            Socket::Tcp(socket) => (Transport::Tcp, self.address, socket.as_fd()),
        }
    }
}

fn round_robin(workers: usize) -> impl Iterator<Item = usize> {
    (0..workers.max(1)).cycle()
}

/// A UDP and a TCP socket for each worker, or several where a predecessor had more workers:
/// closing one would lose the packets queued in it. Each with its worker, and whether it is new.
fn open(
    binder: &Binder,
    address: SocketAddr,
    workers: usize,
    (udp, tcp): (Option<Vec<UdpListener>>, Option<Vec<TcpListener>>),
) -> io::Result<Vec<(usize, bool, Socket)>> {
    let (mut udp, mut tcp) = (udp.unwrap_or_default(), tcp.unwrap_or_default());
    let (reused_udp, reused_tcp) = (udp.len(), tcp.len());
    // A port that is in use is mostly in use over TCP as well. UDP comes last: datagrams that arrive
    // between binding and closing are lost, if another process shares the address.
    while tcp.len() < workers {
        tcp.push(linux::tcp::listen_by(binder, address, BACKLOG)?);
    }
    while udp.len() < workers {
        udp.push(UdpListener::bind_by(binder, address)?);
    }
    let udp = udp.into_iter().map(Socket::Udp).enumerate();
    let udp = udp.map(|(index, socket)| (index >= reused_udp, socket));
    let tcp = tcp.into_iter().map(Socket::Tcp).enumerate();
    let tcp = tcp.map(|(index, socket)| (index >= reused_tcp, socket));
    let udp = round_robin(workers).zip(udp);
    let tcp = round_robin(workers).zip(tcp);
    Ok(udp.chain(tcp).map(|(worker, (is_own, socket))| (worker, is_own, socket)).collect())
}

fn duplicate(originals: &[ListeningSocket], workers: usize) -> io::Result<Vec<Vec<Sockets>>> {
    let mut by_worker: Vec<Vec<Sockets>> = (0..workers).map(|_| Vec::new()).collect();
    for ListeningSocket { listener, worker, socket, .. } in originals {
        let Some(listeners) = by_worker.get_mut(*worker) else { continue };
        if listeners.last().is_none_or(|last| last.listener != *listener) {
            listeners.push(Sockets { listener: *listener, udp: Vec::new(), tcp: Vec::new() });
        }
        let Some(sockets) = listeners.last_mut() else { continue };
        match socket {
            Socket::Udp(socket) => sockets.udp.push(socket.try_clone()?),
            Socket::Tcp(socket) => sockets.tcp.push(socket.try_clone()?),
        }
    }
    Ok(by_worker)
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    let codes = [Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS, Errno::ENOMEM];
    error.raw_os_error().is_some_and(|code| codes.contains(&Errno::from_raw(code)))
}

fn is_unsupported_family(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::EAFNOSUPPORT as i32)
}
