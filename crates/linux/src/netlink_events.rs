//! Hears from the kernel at once when someone changes our link, its addresses or our packet-filter table.

pub(crate) mod message;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use netlink_sys::protocols::{NETLINK_NETFILTER, NETLINK_ROUTE};
use netlink_sys::{AsyncSocket, TokioSocket};
use tokio::time::{Sleep, sleep};

use crate::netlink_events::message::{LinkFilter, TableFilter};

/// What the kernel tells about links and their addresses.
const LINK_GROUPS: [u32; 3] = [libc::RTNLGRP_LINK, libc::RTNLGRP_IPV4_IFADDR, libc::RTNLGRP_IPV6_IFADDR];
/// What it tells about nf_tables.
const RULESET_GROUP: u32 = libc::NFNLGRP_NFTABLES.cast_unsigned();
/// Octets of one datagram from the kernel. Messages about links with many virtual functions are the longest.
const DATAGRAM: usize = 32 * 1024;
/// From one look to the next at least, after a quiet time: our own repair is news too and asks for one more look.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// The pause doubles up to this while news goes on, so that a fight over the link or a storm of rules costs little.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Subscriptions to what the kernel tells about one link and one table.
///
/// It only says that something may have changed; what it was, a comparison with the plan finds.
#[derive(Default)]
pub struct NetlinkMonitor {
    subscriptions: Vec<Subscription>,
    /// Something was heard that the caller does not know yet.
    noticed: bool,
    /// Runs from the last time that the caller was told.
    rest: Option<Pin<Box<Sleep>>>,
    /// How long the next rest will be; nothing after a quiet one.
    pause: Option<Duration>,
}

struct Subscription {
    socket: TokioSocket,
    datagram: Vec<u8>,
    subject: Subject,
}

enum Subject {
    Link(LinkFilter),
    Table(TableFilter),
}

impl NetlinkMonitor {
    /// Hears nothing until it is told what to watch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Watches a link of this name, whether it exists yet or not, and its addresses.
    ///
    /// # Errors
    ///
    /// What the kernel says; the link is not watched then.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O, as every socket of tokio's does.
    pub fn link(&mut self, name: &str) -> io::Result<()> {
        let socket = subscribe(NETLINK_ROUTE, LINK_GROUPS)?;
        // Asked after the subscription: a link that appears in between is seen twice rather than never.
        self.add(socket, Subject::Link(LinkFilter::about(name)));
        Ok(())
    }

    /// Watches the packet-filter table of this name in the family `inet`, whether it exists yet or not.
    ///
    /// # Errors
    ///
    /// What the kernel says, e.g. `PermissionDenied` without `CAP_NET_ADMIN`; the table is not watched then.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O, as every socket of tokio's does.
    pub fn table(&mut self, table: &str) -> io::Result<()> {
        let socket = subscribe(NETLINK_NETFILTER, [RULESET_GROUP])?;
        self.add(socket, Subject::Table(TableFilter::about(table)));
        Ok(())
    }

    fn add(&mut self, socket: TokioSocket, subject: Subject) {
        self.subscriptions.push(Subscription { socket, datagram: Vec::with_capacity(DATAGRAM), subject });
    }

    /// Waits until something happened to the link or the table, by whomever, or until the kernel could not tell all that
    /// happened. For ever, when nothing is watched.
    ///
    /// The first news is told at once; what follows it is told together after a pause, of 10 ms at first and of 1 s at
    /// last while it goes on. It may be dropped at any time: nothing is lost.
    pub async fn changed(&mut self) {
        poll_fn(|context| self.poll_changed(context)).await;
    }

    fn poll_changed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.noticed = self.noticed || self.poll_event(context);
        if let Some(rest) = &mut self.rest {
            if rest.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.rest = None;
            if !self.noticed {
                self.pause = None;
            }
        }
        if !self.noticed {
            return Poll::Pending;
        }
        // The look that follows sees the outcome of all that is queued.
        while self.poll_event(context) {}
        self.noticed = false;
        let pause = self.pause.unwrap_or(FIRST_PAUSE);
        self.rest = Some(Box::pin(sleep(pause)));
        self.pause = Some(pause.saturating_mul(2).min(LONGEST_PAUSE));
        Poll::Ready(())
    }

    /// Whether there is news; if not, the context is woken by the next.
    fn poll_event(&mut self, context: &mut Context<'_>) -> bool {
        self.subscriptions.iter_mut().any(|subscription| subscription.poll_event(context))
    }
}

impl Subscription {
    /// Reads up to the first datagram that concerns the subject. tokio's budget bounds what is read in one go.
    fn poll_event(&mut self, context: &mut Context<'_>) -> bool {
        loop {
            self.datagram.clear();
            match self.socket.poll_recv(context, &mut self.datagram) {
                Poll::Pending => return false,
                Poll::Ready(Ok(())) => {
                    if self.subject.matches(&self.datagram) {
                        return true;
                    }
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(Err(_)) => {
                    self.start_afresh();
                    return true;
                }
            }
        }
    }

    /// The queue was full (ENOBUFS) and news is lost. It goes on being lost, without another error, until the queue is
    /// empty, which is therefore soon. After that nothing is missed that the look to come does not see.
    fn start_afresh(&mut self) {
        while self.socket.socket_ref().recv(&mut self.datagram, 0).is_ok() {
            self.datagram.clear();
        }
        self.subject.resync();
    }
}

impl Subject {
    fn matches(&mut self, datagram: &[u8]) -> bool {
        match self {
            Self::Link(news) => news.matches(datagram),
            Self::Table(news) => news.matches(datagram),
        }
    }

    fn resync(&mut self) {
        match self {
            Self::Link(news) => news.resync(),
            Self::Table(_) => {}
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
