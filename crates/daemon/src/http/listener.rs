//! One address: its socket, its connections, and what they may cost.

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
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::Limits;
use super::pages::{Pages, Roles};

/// Connections the kernel may hold before we take them.
const BACKLOG: i32 = 128;
/// Octets of a request's first line and headers.
const MAX_HEADER_LEN: usize = 8 * 1024;
/// How long to wait when no connection can be taken, so that a lack of descriptors is not answered with a busy loop.
const BREATH: Duration = Duration::from_millis(100);

/// Opens `address`, shared with a predecessor or successor of this process that does the same. An address that
/// the node does not have yet is opened all the same; an unspecified one is opened for both families where the
/// kernel has both.
pub(super) fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    if !address.ip().is_unspecified() {
        return socket(address, Families::One);
    }
    let both = SocketAddr::from((Ipv6Addr::UNSPECIFIED, address.port()));
    socket(both, Families::Both).or_else(|error| match error.kind() {
        io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Err(error),
        _ => socket(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())), Families::One),
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Families {
    One,
    Both,
}

fn socket(address: SocketAddr, families: Families) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(families == Families::One)?;
        socket.set_freebind_v6(true)?;
    } else {
        socket.set_freebind_v4(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// What the connections of one address share.
#[derive(Clone)]
pub(super) struct Site {
    pub(super) pages: Rc<Pages>,
    pub(super) roles: Rc<Cell<Roles>>,
    pub(super) limits: Limits,
    /// Turns true when the address is to be closed.
    pub(super) closes: watch::Receiver<bool>,
}

impl Site {
    /// Takes connections until the address is to be closed, and then lets them end.
    pub(super) async fn serve(self, listener: TcpListener) {
        let mut crowd = Crowd { connections: JoinSet::new(), by_age: VecDeque::new() };
        let mut closes = self.closes.clone();
        loop {
            tokio::select! {
                _ = closes.wait_for(|closes| *closes) => break,
                Some(_) = crowd.connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => crowd.admit(self.clone(), stream),
                    Err(error) => {
                        debug!("cannot take a connection: {error}");
                        sleep(BREATH).await;
                    }
                },
            }
        }
        drop(listener);
        let all_ended = async { while crowd.connections.join_next().await.is_some() {} };
        if timeout(self.limits.timeout, all_ended).await.is_err() {
            crowd.connections.shutdown().await;
        }
    }

    async fn converse(self, stream: TcpStream) {
        // The kernel ends a connection whose peer does not read for so long.
        if let Err(error) = SockRef::from(&stream).set_tcp_user_timeout(Some(self.limits.timeout)) {
            debug!("cannot limit the time a client may take to read: {error}");
        }
        let Self { pages, roles, limits, mut closes } = self;
        let service = service_fn(move |request: Request<Incoming>| {
            ready(Ok::<_, Infallible>(pages.answer(roles.get(), request.uri().path())))
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(limits.timeout).max_header_size(MAX_HEADER_LEN);
        let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            _ = closes.wait_for(|closes| *closes) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            debug!("a connection ended early: {error}");
        }
    }
}

/// The connections of one address.
struct Crowd {
    connections: JoinSet<()>,
    /// Oldest first; those that have ended stay until the next one comes.
    by_age: VecDeque<AbortHandle>,
}

impl Crowd {
    fn admit(&mut self, site: Site, stream: TcpStream) {
        self.by_age.retain(|connection| !connection.is_finished());
        while self.by_age.len() >= site.limits.max_connections.max(1)
            && let Some(oldest) = self.by_age.pop_front()
        {
            oldest.abort();
        }
        self.by_age.push_back(self.connections.spawn_local(site.converse(stream)));
    }
}
