//! The listener of one address: its socket and its connections.

use std::cell::Cell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::ready;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use linux::binder::Binder;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::endpoints::Roles;
use super::handlers::Handlers;
use super::limits::Limits;

/// Backlog of the listening socket.
const BACKLOG: i32 = 128;
/// Octets of a request line and its headers.
const MAX_HEADER_LEN: usize = 8 * 1024;
/// Pause after a failed `accept`, so that a lack of descriptors does not cause a busy loop.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Binds `address` with SO_REUSEPORT, so that predecessor and successor share it; with `freebind`
/// also while the node does not have it. An unspecified address is bound for both families where
/// the kernel supports both.
pub(super) fn bind(
    binder: &Binder,
    address: SocketAddr,
    freebind: bool,
) -> io::Result<std::net::TcpListener> {
    if !address.ip().is_unspecified() {
        return socket(binder, address, Families::One, freebind);
    }
    let both = SocketAddr::from((Ipv6Addr::UNSPECIFIED, address.port()));
    socket(binder, both, Families::Both, freebind).or_else(|error| match error.kind() {
        io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Err(error),
        _ => {
            let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
            socket(binder, v4, Families::One, freebind)
        }
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Families {
    One,
    Both,
}

fn socket(
    binder: &Binder,
    address: SocketAddr,
    families: Families,
    freebind: bool,
) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(families == Families::One)?;
        socket.set_freebind_v6(freebind)?;
    } else {
        socket.set_freebind_v4(freebind)?;
    }
    socket.set_nonblocking(true)?;
    binder.bind(&socket, address)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A listener, shared by its connections.
#[derive(Clone)]
pub(super) struct Listener {
    pub(super) handlers: Rc<Handlers>,
    pub(super) roles: Rc<Cell<Roles>>,
    pub(super) limits: Limits,
    /// Becomes true when the listener is to close.
    pub(super) closing: watch::Receiver<bool>,
}

impl Listener {
    /// Accepts connections until the listener is to close; requests in progress are finished then.
    pub(super) async fn serve(self, socket: TcpListener) {
        let mut connections = Connections { tasks: JoinSet::new(), by_age: VecDeque::new() };
        let mut closing = self.closing.clone();
        loop {
            tokio::select! {
                _ = closing.wait_for(|closing| *closing) => break,
                Some(_) = connections.tasks.join_next() => {}
                accepted = socket.accept() => match accepted {
                    Ok((stream, _)) => connections.accept(self.clone(), stream),
                    Err(error) => {
                        debug!("cannot accept an HTTP connection: {error}");
                        sleep(ACCEPT_RETRY_DELAY).await;
                    }
                },
            }
        }
        drop(socket);
        let all_ended = async { while connections.tasks.join_next().await.is_some() {} };
        if timeout(self.limits.timeout, all_ended).await.is_err() {
            connections.tasks.shutdown().await;
        }
    }

    async fn serve_connection(self, stream: TcpStream) {
        // The kernel closes a connection whose peer does not read for this time.
        if let Err(error) = SockRef::from(&stream).set_tcp_user_timeout(Some(self.limits.timeout)) {
            debug!("cannot set TCP_USER_TIMEOUT: {error}");
        }
        let Self { handlers, roles, limits, mut closing } = self;
        let service = service_fn(move |request: Request<Incoming>| {
            ready(Ok::<_, Infallible>(handlers.respond(roles.get(), request.uri().path())))
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(limits.timeout).max_header_size(MAX_HEADER_LEN);
        let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            _ = closing.wait_for(|closing| *closing) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            debug!("HTTP connection failed: {error}");
        }
    }
}

/// The connections of one listener.
struct Connections {
    tasks: JoinSet<()>,
    /// Oldest first; closed ones are removed when the next is accepted.
    by_age: VecDeque<AbortHandle>,
}

impl Connections {
    fn accept(&mut self, listener: Listener, stream: TcpStream) {
        self.by_age.retain(|connection| !connection.is_finished());
        while self.by_age.len() >= listener.limits.max_connections.max(1)
            && let Some(oldest) = self.by_age.pop_front()
        {
            oldest.abort();
        }
        self.by_age.push_back(self.tasks.spawn_local(listener.serve_connection(stream)));
    }
}
