//! Netlink events: monitors our link, its addresses, our nf_tables table and default routes for changes
//! by others.

mod filter;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use netlink_sys::protocols::{NETLINK_NETFILTER, NETLINK_ROUTE};
use netlink_sys::{AsyncSocket, TokioSocket};
use tokio::time::{Sleep, sleep};

use filter::{LinkFilter, TableFilter};

/// Multicast groups for links and their addresses.
const LINK_GROUPS: [u32; 3] = [libc::RTNLGRP_LINK, libc::RTNLGRP_IPV4_IFADDR, libc::RTNLGRP_IPV6_IFADDR];
/// Multicast groups for routes.
const ROUTE_GROUPS: [u32; 2] = [libc::RTNLGRP_IPV4_ROUTE, libc::RTNLGRP_IPV6_ROUTE];
/// Multicast group for nf_tables.
const NFTABLES_GROUP: u32 = libc::NFNLGRP_NFTABLES.cast_unsigned();
/// Maximum octets of one datagram. Messages about links with many virtual functions are the
/// longest.
const DATAGRAM_SIZE: usize = 32 * 1024;
/// Minimum delay between two notifications, after a quiet time: our own repair causes events too,
/// and one more notification.
const MIN_DELAY: Duration = Duration::from_millis(10);
/// The delay doubles up to this while events continue, so that a conflict over the link or frequent
/// rule changes cost little.
const MAX_DELAY: Duration = Duration::from_secs(1);

/// Subscriptions to netlink events about one link and one table.
///
/// A notification only means that something may have changed; verification finds out what.
#[derive(Default)]
pub struct NetlinkMonitor {
    subscriptions: Vec<Subscription>,
    /// An event arrived since the last notification.
    pending: bool,
    /// Runs from the last notification.
    delay: Option<Pin<Box<Sleep>>>,
    /// The duration of the next delay; absent after a quiet delay.
    next_delay: Option<Duration>,
}

struct Subscription {
    socket: TokioSocket,
    datagram: Vec<u8>,
    filter: Filter,
    /// Overflows of the socket's queue since they were last read.
    overruns: u64,
}

enum Filter {
    Link(LinkFilter),
    Table(TableFilter),
    DefaultRoutes,
}

impl NetlinkMonitor {
    /// A monitor without subscriptions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Monitors the link of this name and its addresses, whether or not it exists yet.
    ///
    /// # Errors
    ///
    /// The kernel's error; the link is not monitored then.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O, as every socket of tokio's does.
    pub fn add_link(&mut self, name: &str) -> io::Result<()> {
        let socket = subscribe(NETLINK_ROUTE, LINK_GROUPS)?;
        // The index is looked up after subscribing, so that no creation of the link is missed.
        self.add(socket, Filter::Link(LinkFilter::new(name)));
        Ok(())
    }

    /// Monitors the nf_tables table of this name in the family `inet`, whether or not it exists
    /// yet.
    ///
    /// # Errors
    ///
    /// The kernel's error, e.g. `PermissionDenied` without `CAP_NET_ADMIN`; the table is not
    /// monitored then.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O, as every socket of tokio's does.
    pub fn add_table(&mut self, table: &str) -> io::Result<()> {
        let socket = subscribe(NETLINK_NETFILTER, [NFTABLES_GROUP])?;
        self.add(socket, Filter::Table(TableFilter::new(table)));
        Ok(())
    }

    /// Monitors default routes of both families.
    ///
    /// # Errors
    ///
    /// The kernel's error; they are not monitored then.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O, as every socket of tokio's does.
    pub fn add_default_routes(&mut self) -> io::Result<()> {
        let socket = subscribe(NETLINK_ROUTE, ROUTE_GROUPS)?;
        self.add(socket, Filter::DefaultRoutes);
        Ok(())
    }

    fn add(&mut self, socket: TokioSocket, filter: Filter) {
        let datagram = Vec::with_capacity(DATAGRAM_SIZE);
        self.subscriptions.push(Subscription { socket, datagram, filter, overruns: 0 });
    }

    /// Waits for a change of the link or the table by any process, or until events were lost. Never
    /// returns without subscriptions.
    ///
    /// The first event returns at once; later ones are coalesced, with a delay of 10 ms at first
    /// and up to 1 s while events continue. Cancel safe.
    pub async fn changed(&mut self) {
        poll_fn(|context| self.poll_changed(context)).await;
    }

    /// How often events were lost since the last call, because a queue was full (ENOBUFS).
    pub fn take_overruns(&mut self) -> u64 {
        self.subscriptions.iter_mut().map(|subscription| std::mem::take(&mut subscription.overruns)).sum()
    }

    fn poll_changed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.pending = self.pending || self.poll_event(context);
        if let Some(delay) = &mut self.delay {
            if delay.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.delay = None;
            if !self.pending {
                self.next_delay = None;
            }
        }
        if !self.pending {
            return Poll::Pending;
        }
        // The verification that follows covers all queued events.
        while self.poll_event(context) {}
        self.pending = false;
        let delay = self.next_delay.unwrap_or(MIN_DELAY);
        self.delay = Some(Box::pin(sleep(delay)));
        self.next_delay = Some(delay.saturating_mul(2).min(MAX_DELAY));
        Poll::Ready(())
    }

    /// Whether there is an event; if not, the next one wakes the context.
    fn poll_event(&mut self, context: &mut Context<'_>) -> bool {
        self.subscriptions.iter_mut().any(|subscription| subscription.poll_event(context))
    }
}

impl Subscription {
    /// Reads up to the first datagram that matches. tokio's budget bounds the reads of one call.
    fn poll_event(&mut self, context: &mut Context<'_>) -> bool {
        loop {
            self.datagram.clear();
            match self.socket.poll_recv(context, &mut self.datagram) {
                Poll::Pending => return false,
                Poll::Ready(Ok(())) => {
                    if self.filter.matches(&self.datagram) {
                        return true;
                    }
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(Err(_)) => {
                    self.resync_after_overflow();
                    return true;
                }
            }
        }
    }

    /// The queue overflowed (ENOBUFS) and events were lost. The kernel drops further ones without
    /// another error until the queue is empty, so it is drained. The verification that follows
    /// covers the lost events.
    fn resync_after_overflow(&mut self) {
        while self.socket.socket_ref().recv(&mut self.datagram, 0).is_ok() {
            self.datagram.clear();
        }
        self.filter.resync();
        self.overruns += 1;
    }
}

impl Filter {
    fn matches(&mut self, datagram: &[u8]) -> bool {
        match self {
            Self::Link(filter) => filter.matches(datagram),
            Self::Table(filter) => filter.matches(datagram),
            Self::DefaultRoutes => filter::has_default_route(datagram),
        }
    }

    fn resync(&mut self) {
        match self {
            Self::Link(filter) => filter.resync(),
            Self::Table(_) | Self::DefaultRoutes => {}
        }
    }
}

fn subscribe<const N: usize>(protocol: isize, groups: [u32; N]) -> io::Result<TokioSocket> {
    let mut socket = TokioSocket::new(protocol)?;
    socket.socket_mut().bind_auto()?;
    for group in groups {
        socket.socket_ref().add_membership(group)?;
    }
    Ok(socket)
}
