//! The sockets on which DNS is answered. Workers read them; the control thread holds duplicates of all, so that they
//! can be given to a successor, or read again when that fails.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};

use linux::udp::UdpListener;
use nix::errno::Errno;
use resolver::action::Transport;
use resolver::policy::ListenerId;

/// Connections the kernel keeps for a worker that is busy.
const BACKLOG: i32 = 1024;

/// The sockets of one listener for one worker.
pub(crate) struct Sockets {
    pub(super) listener: ListenerId,
    pub(super) udp: Vec<UdpListener>,
    pub(super) tcp: Vec<TcpListener>,
}

/// Sockets that a predecessor read from, by address: as many as it had workers.
#[derive(Debug, Default)]
pub(crate) struct InheritedSockets {
    pub(crate) udp: HashMap<SocketAddr, Vec<UdpListener>>,
    pub(crate) tcp: HashMap<SocketAddr, Vec<TcpListener>>,
}

/// Every socket of the process on which DNS is answered.
#[derive(Debug, Default)]
pub(crate) struct ListeningSockets {
    held: Vec<Held>,
}

#[derive(Debug)]
struct Held {
    listener: ListenerId,
    worker: usize,
    address: SocketAddr,
    socket: Socket,
    /// No predecessor has it.
    is_own: bool,
}

#[derive(Debug)]
enum Socket {
    Udp(UdpListener),
    Tcp(TcpListener),
}

impl ListeningSockets {
    /// Opens UDP and TCP on each address for each of `workers`, out of `inherited` where it has them. Where a listener
    /// has "every address" of both families, a kernel without IPv6 leaves it those of IPv4. On failure nothing has
    /// changed but that `inherited` has less.
    ///
    /// # Errors
    /// The address that could not be opened, and why.
    pub(crate) fn open(
        &mut self,
        listeners: &[(ListenerId, Vec<SocketAddr>)],
        workers: usize,
        inherited: &mut InheritedSockets,
    ) -> Result<Vec<Vec<Sockets>>, (SocketAddr, io::Error)> {
        let mut opened = Vec::new();
        for (listener, addresses) in listeners {
            for &address in addresses {
                let known = (inherited.udp.remove(&address), inherited.tcp.remove(&address));
                match open(address, workers, known) {
                    Err(error) if addresses.len() > 1 && is_unknown_family(&error) => {}
                    Err(error) => return Err((address, error)),
                    Ok(sockets) => opened.extend(sockets.into_iter().map(|(worker, is_own, socket)| Held {
                        listener: *listener,
                        worker,
                        address,
                        socket,
                        is_own,
                    })),
                }
            }
        }
        let any = SocketAddr::from(([0, 0, 0, 0], 0));
        let sockets = duplicates(&opened, workers).map_err(|error| (any, error))?;
        self.held.extend(opened);
        Ok(sockets)
    }

    /// Holds what a successor had beside these, where there is a listener for it.
    pub(crate) fn extend(&mut self, sockets: InheritedSockets, workers: usize) {
        let udp = sockets.udp.into_iter().flat_map(|(address, sockets)| {
            sockets.into_iter().map(move |socket| (address, Socket::Udp(socket)))
        });
        let tcp = sockets.tcp.into_iter().flat_map(|(address, sockets)| {
            sockets.into_iter().map(move |socket| (address, Socket::Tcp(socket)))
        });
        for ((address, socket), worker) in udp.chain(tcp).zip(turns(workers)) {
            if let Some(Held { listener, .. }) = self.held.iter().find(|held| held.address == address) {
                let listener = *listener;
                self.held.push(Held { listener, worker, address, socket, is_own: true });
            }
        }
        // Those of one listener stand together.
        self.held.sort_by_key(|held| held.listener.0);
    }

    /// Lets go of what is no longer listened on.
    pub(crate) fn close(&mut self, listeners: &[ListenerId]) {
        self.held.retain(|held| !listeners.contains(&held.listener));
    }

    /// All of them once more, for each of `workers`.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub(crate) fn again(&self, workers: usize) -> io::Result<Vec<Vec<Sockets>>> {
        duplicates(&self.held, workers)
    }

    /// All of them, to be given away.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Transport, SocketAddr, BorrowedFd<'_>)> {
        self.held.iter().map(Held::told)
    }

    /// Those that no predecessor has.
    pub(crate) fn own(&self) -> impl Iterator<Item = (Transport, SocketAddr, BorrowedFd<'_>)> {
        self.held.iter().filter(|held| held.is_own).map(Held::told)
    }
}

impl Held {
    fn told(&self) -> (Transport, SocketAddr, BorrowedFd<'_>) {
        match &self.socket {
            Socket::Udp(socket) => (Transport::Udp, self.address, socket.as_fd()),
            Socket::Tcp(socket) => (Transport::Tcp, self.address, socket.as_fd()),
        }
    }
}

fn turns(workers: usize) -> impl Iterator<Item = usize> {
    (0..workers.max(1)).cycle()
}

/// One socket of each kind for each worker, or several for some where a predecessor had more workers: none is closed,
/// since what is queued in it would be lost. Each with its worker, and whether it is new.
fn open(
    address: SocketAddr,
    workers: usize,
    (udp, tcp): (Option<Vec<UdpListener>>, Option<Vec<TcpListener>>),
) -> io::Result<Vec<(usize, bool, Socket)>> {
    let (mut udp, mut tcp) = (udp.unwrap_or_default(), tcp.unwrap_or_default());
    let (known_udp, known_tcp) = (udp.len(), tcp.len());
    while udp.len() < workers {
        udp.push(UdpListener::bind(address)?);
    }
    while tcp.len() < workers {
        tcp.push(linux::tcp::listen(address, BACKLOG)?);
    }
    let udp =
        udp.into_iter().map(Socket::Udp).enumerate().map(|(place, socket)| (place >= known_udp, socket));
    let tcp =
        tcp.into_iter().map(Socket::Tcp).enumerate().map(|(place, socket)| (place >= known_tcp, socket));
    let udp = turns(workers).zip(udp);
    let tcp = turns(workers).zip(tcp);
    Ok(udp.chain(tcp).map(|(worker, (is_own, socket))| (worker, is_own, socket)).collect())
}

fn duplicates(held: &[Held], workers: usize) -> io::Result<Vec<Vec<Sockets>>> {
    let mut sets: Vec<Vec<Sockets>> = (0..workers).map(|_| Vec::new()).collect();
    for Held { listener, worker, socket, .. } in held {
        let Some(set) = sets.get_mut(*worker) else { continue };
        if set.last().is_none_or(|last| last.listener != *listener) {
            set.push(Sockets { listener: *listener, udp: Vec::new(), tcp: Vec::new() });
        }
        let Some(sockets) = set.last_mut() else { continue };
        match socket {
            Socket::Udp(socket) => sockets.udp.push(socket.try_clone()?),
            Socket::Tcp(socket) => sockets.tcp.push(socket.try_clone()?),
        }
    }
    Ok(sets)
}

fn is_unknown_family(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::EAFNOSUPPORT as i32)
}
