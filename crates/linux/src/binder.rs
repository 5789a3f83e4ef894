//! Binding of sockets: one thread has the permission to bind ports below 1024 (CAP_NET_BIND_SERVICE), and
//! binds sockets that others created.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;

use socket2::Socket;

use crate::confinement::{self, ThreadKind};

/// Binds sockets: in the thread, or in the calling one.
#[derive(Clone, Debug, Default)]
pub struct Binder {
    requests: Option<mpsc::Sender<Request>>,
}

#[derive(Debug)]
struct Request {
    socket: Socket,
    address: SocketAddr,
    result: mpsc::SyncSender<io::Result<()>>,
}

impl Binder {
    /// One that binds in the calling thread, with the permissions that it has.
    #[must_use]
    pub const fn in_place() -> Self {
        Self { requests: None }
    }

    /// Starts the thread, which ends with the last clone of this value. Returns when it is confined, or that
    /// has failed ([`confinement::first_failure`]).
    ///
    /// # Errors
    ///
    /// The system refuses a thread.
    pub fn start() -> io::Result<Self> {
        let (requests, receiver) = mpsc::channel();
        let (started, confined) = mpsc::sync_channel(1);
        thread::Builder::new().name("binder".to_owned()).spawn(move || {
            drop(started.send(confinement::enter(ThreadKind::Binder)));
            serve(&receiver);
        })?;
        drop(confined.recv().map_err(|_| ended())?);
        Ok(Self { requests: Some(requests) })
    }

    /// Binds `socket` to `address`; takes some microseconds.
    ///
    /// # Errors
    ///
    /// The error of `bind`, or the limit on open files.
    pub fn bind(&self, socket: &Socket, address: SocketAddr) -> io::Result<()> {
        let Some(requests) = &self.requests else { return socket.bind(&address.into()) };
        let (result, bound) = mpsc::sync_channel(1);
        let request = Request { socket: socket.try_clone()?, address, result };
        requests.send(request).map_err(|_| ended())?;
        bound.recv().unwrap_or_else(|_| Err(ended()))
    }
}

fn serve(requests: &mpsc::Receiver<Request>) {
    while let Ok(Request { socket, address, result }) = requests.recv() {
        let bound = socket.bind(&address.into());
        drop(socket);
        // The requester has ended if nobody receives it.
        result.send(bound).ok();
    }
}

fn ended() -> io::Error {
    io::Error::other("the thread that binds sockets has ended")
}
