//! The HTTP endpoints: `/health`, `/ready`, `/metrics`.
//!
//! All of it runs on the control thread, in the [`LocalSet`](tokio::task::LocalSet) of its runtime, and can never
//! delay an answer. Whoever can reach the addresses can ask, so a connection has limits in octets and time, and
//! when there are too many the oldest is closed: a crowd cannot keep the kubelet's probe out.

mod listener;
mod pages;
mod probe;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::error;

use self::pages::{MetricsPage, Pages, Roles};
use crate::metrics::{Exposition, ProcessCounters};
use crate::readiness::Readiness;

/// What is served where. An address may have several roles. An unspecified address, `[::]` or `0.0.0.0`, stands for
/// every address of both families, as it does in Go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// `/health`
    pub health: Vec<SocketAddr>,
    /// `/ready`
    pub ready: Vec<SocketAddr>,
    /// `/metrics`, of the `prometheus` directives.
    pub metrics: Vec<SocketAddr>,
    /// `/metrics` with what it tells of its own scrapes, of `-metrics-listen-address`.
    pub process_metrics: Option<SocketAddr>,
}

impl Endpoints {
    fn by_address(&self) -> BTreeMap<SocketAddr, Roles> {
        let mut roles: BTreeMap<SocketAddr, Roles> = BTreeMap::new();
        for address in &self.health {
            roles.entry(*address).or_default().health = true;
        }
        for address in &self.ready {
            roles.entry(*address).or_default().ready = true;
        }
        for address in &self.metrics {
            roles.entry(*address).or_default().metrics = Some(MetricsPage::Plain);
        }
        if let Some(address) = self.process_metrics {
            roles.entry(address).or_default().metrics = Some(MetricsPage::WithScrapes);
        }
        roles
    }
}

/// What the endpoints show, and what they count.
#[derive(Clone, Debug)]
pub struct HandlerState {
    /// Of `/metrics`.
    pub exposition: Arc<Exposition>,
    /// Of `/ready`.
    pub readiness: Readiness,
    /// Counts the self-probes of `/health`.
    pub counters: Arc<ProcessCounters>,
}

/// What a client may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For reading a request, for writing the answer, and for being idle.
    pub timeout: Duration,
    /// Connections per address; one more closes the oldest.
    pub max_connections: usize,
    /// From one self-probe of `/health` to the next.
    pub health_check_period: Duration,
}

impl Default for Limits {
    /// As CoreDNS: 5 s, and a probe each second. 64 connections are more than any scraper and kubelet hold.
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            max_connections: 64,
            health_check_period: Duration::from_secs(1),
        }
    }
}

/// An address that could not be opened.
#[derive(Debug)]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// Why.
    pub source: io::Error,
}

impl fmt::Display for BindError {
    /// In Go's words.
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

/// The endpoints that are open.
#[derive(Debug)]
pub struct HttpServer {
    pages: Rc<Pages>,
    limits: Limits,
    open: BTreeMap<SocketAddr, Open>,
    /// Addresses of `/metrics` that could not be opened.
    missing: Vec<SocketAddr>,
    inherited: InheritedListeners,
    probed: Rc<RefCell<Vec<SocketAddr>>>,
    listeners: JoinSet<()>,
    prober: JoinSet<()>,
}

#[derive(Debug)]
struct Open {
    /// The address the kernel gave, which differs from the one asked for when that had port 0.
    bound: SocketAddr,
    roles: Rc<Cell<Roles>>,
    closing: watch::Sender<bool>,
    /// A duplicate, to be given away or served again.
    held: std::net::TcpListener,
}

/// Sockets that a predecessor served, by the address that was asked for.
pub type InheritedListeners = BTreeMap<SocketAddr, std::net::TcpListener>;

impl HttpServer {
    /// Serves nothing yet. To be called, like the other methods, inside a [`LocalSet`](tokio::task::LocalSet).
    pub fn new(sources: HandlerState, limits: Limits) -> Self {
        let probed = Rc::default();
        let mut prober = JoinSet::new();
        prober.spawn_local(probe::run(Rc::clone(&probed), limits.health_check_period, sources.counters));
        let pages = Rc::new(Pages {
            exposition: sources.exposition,
            readiness: sources.readiness,
            trouble: RefCell::default(),
        });
        Self {
            pages,
            limits,
            open: BTreeMap::new(),
            missing: Vec::new(),
            inherited: InheritedListeners::new(),
            probed,
            listeners: JoinSet::new(),
            prober,
        }
    }

    /// Sockets that the next [`rebind`](Self::rebind) takes into use instead of opening others; it closes the rest.
    pub fn inherit(&mut self, sockets: InheritedListeners) {
        self.inherited = sockets;
    }

    /// Serves `endpoints` and nothing else. What was open and still is wanted stays open, connections included;
    /// what is gone closes once the requests under way are answered.
    ///
    /// A `/metrics` address that cannot be opened is logged once, and [missing](Self::is_incomplete) until a call finds it
    /// free.
    ///
    /// # Errors
    /// An address with `/health` or `/ready` that cannot be opened; then everything is as it was.
    pub fn rebind(&mut self, endpoints: &Endpoints) -> Result<(), BindError> {
        let wanted = endpoints.by_address();
        let mut inherited = std::mem::take(&mut self.inherited);
        let (mut fresh, mut missing) = (Vec::new(), Vec::new());
        for (&address, &roles) in wanted.iter().filter(|(address, _)| !self.open.contains_key(address)) {
            match open(address, inherited.remove(&address)) {
                Ok(opened) => fresh.push((address, roles, opened)),
                Err(error) if roles.health || roles.ready => return Err(error),
                Err(error) => {
                    if !self.missing.contains(&address) {
                        error!("Failed to start metrics handler: {error}");
                    }
                    missing.push(address);
                }
            }
        }
        self.open.retain(|address, open| {
            match wanted.get(address) {
                Some(roles) => open.roles.set(*roles),
                None => close(open),
            }
            wanted.contains_key(address)
        });
        for (address, roles, opened) in fresh {
            self.serve(address, roles, opened);
        }
        self.missing = missing;
        self.probe();
        Ok(())
    }

    /// True while an address is not served that should be.
    pub fn is_incomplete(&self) -> bool {
        !self.missing.is_empty()
    }

    /// Has `/health` answer 503 with this text, or 200 without.
    pub fn set_health_error(&self, trouble: Option<String>) {
        self.pages.trouble.replace(trouble);
    }

    /// Serves nothing for the time being: another process does, on the same sockets. Requests under way are answered.
    pub fn pause(&mut self) {
        self.open.values().for_each(close);
        self.probed.borrow_mut().clear();
    }

    /// Serves again what was paused.
    ///
    /// # Errors
    /// When there are no descriptors left; some addresses may be served then.
    pub fn resume(&mut self) -> io::Result<()> {
        for (address, Open { bound, roles, held, .. }) in std::mem::take(&mut self.open) {
            let listener = TcpListener::from_std(held.try_clone()?)?;
            self.serve(address, roles.get(), Opened { listener, bound, held });
        }
        self.probe();
        Ok(())
    }

    /// The sockets, to be given away: the address asked for, the one the kernel gave, and the socket.
    pub fn sockets(&self) -> impl Iterator<Item = (SocketAddr, SocketAddr, BorrowedFd<'_>)> {
        self.open.iter().map(|(asked, open)| (*asked, open.bound, open.held.as_fd()))
    }

    /// The addresses that are open, as asked for and as the kernel gave them.
    pub fn addresses(&self) -> impl Iterator<Item = (SocketAddr, SocketAddr)> {
        self.open.iter().map(|(asked, open)| (*asked, open.bound))
    }

    /// Closes everything, once the requests under way are answered or [`Limits::timeout`] is over.
    pub async fn close(mut self) {
        self.prober.shutdown().await;
        self.open.values().for_each(close);
        let all_closed = async { while self.listeners.join_next().await.is_some() {} };
        if timeout(self.limits.timeout, all_closed).await.is_err() {
            self.listeners.shutdown().await;
        }
    }

    fn probe(&self) {
        let probed = self.open.values().filter(|open| open.roles.get().health).map(|open| open.bound);
        *self.probed.borrow_mut() = probed.collect();
    }

    fn serve(&mut self, asked: SocketAddr, roles: Roles, opened: Opened) {
        let Opened { listener, bound, held } = opened;
        let (closing, closes) = watch::channel(false);
        let roles = Rc::new(Cell::new(roles));
        let site = listener::Site {
            pages: Rc::clone(&self.pages),
            roles: Rc::clone(&roles),
            limits: self.limits,
            closes,
        };
        self.listeners.spawn_local(site.serve(listener));
        // A listener that has closed leaves its result behind, which nobody else would collect.
        while self.listeners.try_join_next().is_some() {}
        self.open.insert(asked, Open { bound, roles, closing, held });
    }
}

struct Opened {
    listener: TcpListener,
    bound: SocketAddr,
    held: std::net::TcpListener,
}

fn open(address: SocketAddr, inherited: Option<std::net::TcpListener>) -> Result<Opened, BindError> {
    let opened = || {
        let held = inherited.map_or_else(|| listener::bind(address), Ok)?;
        let listener = TcpListener::from_std(held.try_clone()?)?;
        Ok(Opened { bound: listener.local_addr()?, listener, held })
    };
    opened().map_err(|source| BindError { address, source })
}

fn close(open: &Open) {
    open.closing.send_replace(true);
}
