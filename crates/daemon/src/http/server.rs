//! The HTTP server: binds, rebinds, pauses and closes the listeners of the endpoints.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::sync::Arc;

use linux::binder::Binder;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::error;

use super::endpoints::{Endpoints, Roles};
use super::handlers::Handlers;
use super::limits::Limits;
use super::{health_request, listener};
use crate::metrics::{Exposition, ProcessCounters};
use crate::readiness::Readiness;
use crate::status::StatusReader;

/// What the handlers read and count.
#[derive(Clone, Debug)]
pub struct HandlerState {
    /// The page of `/metrics`.
    pub exposition: Arc<Exposition>,
    /// The state of `/ready`.
    pub readiness: Readiness,
    /// What the page `/` of the metrics addresses shows; `None` for no page.
    pub status: Option<Arc<StatusReader>>,
    /// Counts the local requests to `/health`.
    pub counters: Arc<ProcessCounters>,
}

/// An address that could not be bound.
#[derive(Debug)]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// Why.
    pub source: io::Error,
}

impl fmt::Display for BindError {
    /// The wording of Go's net package, as in CoreDNS.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "listen tcp {}: bind: ", self.address)?;
        match self.source.kind() {
            io::ErrorKind::AddrInUse => f.write_str("address already in use"),
            io::ErrorKind::AddrNotAvailable => f.write_str("cannot assign requested address"),
            io::ErrorKind::PermissionDenied => f.write_str("permission denied"),
            _ => write!(f, "{}", self.source),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// The HTTP server.
#[derive(Debug)]
pub struct HttpServer {
    handlers: Rc<Handlers>,
    limits: Limits,
    open: BTreeMap<SocketAddr, ActiveListener>,
    /// Addresses of `/metrics` that could not be bound.
    unbound: Vec<SocketAddr>,
    inherited: InheritedListeners,
    binder: Binder,
    /// Addresses of `/health`, for the local requests.
    health_addresses: Rc<RefCell<Vec<SocketAddr>>>,
    listeners: JoinSet<()>,
    health_request: JoinSet<()>,
}

#[derive(Debug)]
struct ActiveListener {
    /// The bound address; differs from the configured one when that has port 0.
    bound: SocketAddr,
    roles: Rc<Cell<Roles>>,
    closing: watch::Sender<bool>,
    /// A duplicate, for the hand-over and for resuming.
    duplicate: std::net::TcpListener,
}

/// Listening sockets of a predecessor, by configured address.
pub type InheritedListeners = BTreeMap<SocketAddr, std::net::TcpListener>;

impl HttpServer {
    /// A server without endpoints. To be called, like the other methods, inside a
    /// [`LocalSet`](tokio::task::LocalSet).
    pub fn new(state: HandlerState, limits: Limits) -> Self {
        let health_addresses = Rc::default();
        let mut health_request = JoinSet::new();
        health_request.spawn_local(health_request::run(
            Rc::clone(&health_addresses),
            limits.health_request_period,
            state.counters,
        ));
        let handlers = Rc::new(Handlers {
            exposition: state.exposition,
            readiness: state.readiness,
            status: state.status,
            health_error: RefCell::default(),
        });
        Self {
            handlers,
            limits,
            open: BTreeMap::new(),
            unbound: Vec::new(),
            inherited: InheritedListeners::new(),
            binder: Binder::in_place(),
            health_addresses,
            listeners: JoinSet::new(),
            health_request,
        }
    }

    /// Binds with the permissions of `binder` from now on.
    #[must_use]
    pub fn with_binder(self, binder: Binder) -> Self {
        Self { binder, ..self }
    }

    /// Sockets that the next [`prepare`](Self::prepare) uses instead of binding new ones; it closes
    /// the rest.
    pub fn inherit(&mut self, sockets: InheritedListeners) {
        self.inherited = sockets;
    }

    /// Serves exactly `endpoints`: [`prepare`](Self::prepare) and [`commit`](Self::commit).
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    pub fn rebind(&mut self, endpoints: &Endpoints) -> Result<(), BindError> {
        let prepared = self.prepare(endpoints)?;
        self.commit(prepared);
        Ok(())
    }

    /// Binds the addresses of `endpoints` that are not open yet.
    ///
    /// # Errors
    /// An address of `/health` or `/ready` cannot be bound; nothing has changed.
    pub fn prepare(&mut self, endpoints: &Endpoints) -> Result<PreparedEndpoints, BindError> {
        let roles = endpoints.by_address();
        let mut inherited = std::mem::take(&mut self.inherited);
        let (mut opened, mut unbound) = (Vec::new(), Vec::new());
        for (&address, &roles) in roles.iter().filter(|(address, _)| !self.open.contains_key(address)) {
            let freebind = endpoints.local_ips.contains(&address.ip());
            let socket = inherited
                .remove(&address)
                .map_or_else(|| listener::bind(&self.binder, address, freebind), Ok);
            match socket.and_then(register).map_err(|source| BindError { address, source }) {
                Ok(socket) => opened.push((address, roles, socket)),
                Err(error) if roles.health || roles.ready => return Err(error),
                Err(error) => unbound.push(error),
            }
        }
        Ok(PreparedEndpoints { roles, opened, unbound })
    }

    /// Serves exactly the prepared endpoints. Addresses in the old and the new set stay open with
    /// their connections; removed ones close when the requests in progress are finished.
    ///
    /// A `/metrics` address that could not be bound is logged once and retried by the next
    /// [`rebind`](Self::rebind); until then [`is_incomplete`](Self::is_incomplete) is true.
    pub fn commit(&mut self, prepared: PreparedEndpoints) {
        let PreparedEndpoints { roles: roles_by_address, opened, unbound } = prepared;
        self.open.retain(|address, open| {
            match roles_by_address.get(address) {
                Some(roles) => open.roles.set(*roles),
                None => close(open),
            }
            roles_by_address.contains_key(address)
        });
        for (address, roles, socket) in opened {
            self.serve(address, roles, socket);
        }
        for error in unbound.iter().filter(|error| !self.unbound.contains(&error.address)) {
            error!("Failed to start metrics handler: {error}");
        }
        self.unbound = unbound.into_iter().map(|error| error.address).collect();
        self.update_health_addresses();
    }

    /// True while a configured address could not be bound.
    pub fn is_incomplete(&self) -> bool {
        !self.unbound.is_empty()
    }

    /// The page of `/metrics`.
    pub fn exposition(&self) -> &Arc<Exposition> {
        &self.handlers.exposition
    }

    /// Makes `/health` answer 503 with this text; `None`: 200.
    pub fn set_health_error(&self, error: Option<String>) {
        self.handlers.health_error.replace(error);
    }

    /// Stops accepting while another process serves the same sockets; requests in progress are
    /// finished.
    pub fn pause(&mut self) {
        self.open.values().for_each(close);
        self.health_addresses.borrow_mut().clear();
    }

    /// Serves again after [`pause`](Self::pause).
    ///
    /// # Errors
    /// No descriptors are left; some addresses may be served.
    pub fn resume(&mut self) -> io::Result<()> {
        for (address, ActiveListener { bound, roles, duplicate, .. }) in std::mem::take(&mut self.open) {
            let listener = TcpListener::from_std(duplicate.try_clone()?)?;
            self.serve(address, roles.get(), BoundSocket { listener, bound, duplicate });
        }
        self.update_health_addresses();
        Ok(())
    }

    /// The sockets for the hand-over: configured address, bound address, socket.
    pub fn sockets(&self) -> impl Iterator<Item = (SocketAddr, SocketAddr, BorrowedFd<'_>)> {
        self.open.iter().map(|(configured, open)| (*configured, open.bound, open.duplicate.as_fd()))
    }

    /// Configured and bound address of each listener.
    pub fn addresses(&self) -> impl Iterator<Item = (SocketAddr, SocketAddr)> {
        self.open.iter().map(|(configured, open)| (*configured, open.bound))
    }

    /// Closes all listeners when the requests in progress are finished, or after
    /// [`Limits::timeout`].
    pub async fn close(&mut self) {
        self.health_request.shutdown().await;
        self.open.values().for_each(close);
        let all_closed = async { while self.listeners.join_next().await.is_some() {} };
        if timeout(self.limits.timeout, all_closed).await.is_err() {
            self.listeners.shutdown().await;
        }
        self.open.clear();
    }

    fn update_health_addresses(&self) {
        let addresses = self.open.values().filter(|open| open.roles.get().health).map(|open| open.bound);
        *self.health_addresses.borrow_mut() = addresses.collect();
    }

    fn serve(&mut self, configured: SocketAddr, roles: Roles, socket: BoundSocket) {
        let BoundSocket { listener: socket, bound, duplicate } = socket;
        let (close_sender, closing) = watch::channel(false);
        let roles = Rc::new(Cell::new(roles));
        let listener = listener::Listener {
            handlers: Rc::clone(&self.handlers),
            roles: Rc::clone(&roles),
            limits: self.limits,
            closing,
        };
        self.listeners.spawn_local(listener.serve(socket));
        // Reaps the tasks of closed listeners.
        while self.listeners.try_join_next().is_some() {}
        self.open.insert(configured, ActiveListener { bound, roles, closing: close_sender, duplicate });
    }
}

/// Endpoints whose sockets are bound and not served yet. Dropping them closes the sockets.
#[derive(Debug)]
pub struct PreparedEndpoints {
    roles: BTreeMap<SocketAddr, Roles>,
    opened: Vec<(SocketAddr, Roles, BoundSocket)>,
    /// Of `/metrics`.
    unbound: Vec<BindError>,
}

#[derive(Debug)]
struct BoundSocket {
    listener: TcpListener,
    bound: SocketAddr,
    duplicate: std::net::TcpListener,
}

fn register(duplicate: std::net::TcpListener) -> io::Result<BoundSocket> {
    let listener = TcpListener::from_std(duplicate.try_clone()?)?;
    Ok(BoundSocket { bound: listener.local_addr()?, listener, duplicate })
}

fn close(open: &ActiveListener) {
    open.closing.send_replace(true);
}
