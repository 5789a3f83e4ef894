//! Clients by UDP: batches in, batches out.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use linux::udp::{RecvBatch, UdpListener};
use resolver::action::{Action, Client, ClientResponse, Outbox};
use resolver::policy::ListenerId;
use tokio::io::Interest;
use tokio::task::AbortHandle;

use super::Core;
use crate::clock;
use crate::metrics::ProcessCounters;

/// Longer than the deadline of any query that is open.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// Before a socket that gave an error is read again.
const READ_PAUSE: Duration = Duration::from_millis(100);

/// The datagram sockets of a worker. A listener without an address of its own has them for each family; more than one
/// for an address are those of a predecessor that had more workers.
#[derive(Default)]
pub(super) struct Datagrams {
    sockets: RefCell<Vec<Socket>>,
}

struct Socket {
    id: ListenerId,
    is_ipv6: bool,
    listener: Rc<UdpListener>,
    task: AbortHandle,
    /// What the kernel's counter said when it was last looked at.
    overflows: u32,
    /// Its listener is no more: it only sends what is still owed.
    leaving: bool,
}

impl Datagrams {
    /// Reads from `socket` from now on.
    pub(super) fn open(&self, core: &Rc<Core>, id: ListenerId, socket: UdpListener) -> io::Result<()> {
        let is_ipv6 = socket.local_addr()?.is_ipv6();
        let readiness = socket.readiness()?;
        let listener = Rc::new(socket);
        let reading = read(Rc::clone(core), id, Rc::clone(&listener), readiness);
        let task = tokio::task::spawn_local(reading).abort_handle();
        // What was dropped before is not ours to count.
        let overflows = listener.queue_overflows().unwrap_or(0);
        let socket = Socket { id, is_ipv6, listener, task, overflows, leaving: false };
        self.sockets.borrow_mut().push(socket);
        Ok(())
    }

    /// Reads no more on a listener that is no more; its sockets close when what is open is answered.
    pub(super) fn close(&self, core: &Rc<Core>, id: ListenerId) {
        for socket in self.sockets.borrow_mut().iter_mut().filter(|socket| socket.id == id) {
            socket.task.abort();
            socket.leaving = true;
        }
        let core = Rc::clone(core);
        tokio::task::spawn_local(async move {
            core.all_answered(clock::now() + ANSWER_TIME).await;
            core.datagrams.sockets.borrow_mut().retain(|socket| socket.id != id || !socket.leaving);
        });
    }

    /// Reads no more; answers still go out.
    pub(super) fn stop_reading(&self) {
        for socket in self.sockets.borrow().iter() {
            socket.task.abort();
        }
    }

    /// Counts what the kernel had to drop since the last look.
    pub(super) fn count_overflows(&self, process: &ProcessCounters) {
        for socket in self.sockets.borrow_mut().iter_mut() {
            // A kernel that does not know the question has no answer to count.
            let Ok(now) = socket.listener.queue_overflows() else { continue };
            process.udp_queue_overflows.add(u64::from(now.wrapping_sub(socket.overflows)));
            socket.overflows = now;
        }
    }

    /// Sends the answers in `outbox` that go by UDP, a batch per socket.
    pub(super) fn flush(&self, outbox: &Outbox, process: &ProcessCounters) {
        let sockets = self.sockets.borrow();
        let mut left = outbox.actions.iter().filter(|action| by_datagram(action).is_some()).count();
        for (place, Socket { id, is_ipv6, listener: socket, .. }) in sockets.iter().enumerate() {
            if left == 0 {
                return;
            }
            let is_alike = |other: &Socket| other.id == *id && other.is_ipv6 == *is_ipv6;
            if sockets.iter().take(place).any(is_alike) {
                continue;
            }
            let mine = outbox.actions.iter().filter_map(by_datagram).filter(|answered| {
                let Client { listener, peer, .. } = answered.client;
                listener == *id && peer.is_ipv6() == *is_ipv6
            });
            let mut count = 0;
            let sent = socket.send(mine.map(|answered| {
                count += 1;
                (outbox.octets(answered.message), answered.client.peer, answered.client.local)
            }));
            left = left.saturating_sub(count);
            if sent.refused + sent.dropped > 0 {
                process.udp_send_errors.add(u64::try_from(sent.refused + sent.dropped).unwrap_or(u64::MAX));
            }
        }
    }
}

fn by_datagram(action: &Action) -> Option<&ClientResponse> {
    match action {
        Action::Respond(answered) if answered.client.connection.is_none() => Some(answered),
        _ => None,
    }
}

/// Hands what arrives to the resolver, a batch at a time. Of a socket that fails for good, readiness tells.
async fn read(core: Rc<Core>, id: ListenerId, listener: Rc<UdpListener>, readiness: tokio::net::UdpSocket) {
    let mut batch = RecvBatch::new();
    // Of a socket that is bound the kernel knows the address.
    let Ok(own) = listener.local_addr() else { return };
    loop {
        match readiness.async_io(Interest::READABLE, || listener.receive(&mut batch)).await {
            Ok(_) => core.queries(batch.iter().filter_map(|(octets, source)| {
                let client =
                    Client { listener: id, peer: source.peer, local: source.local, connection: None };
                if is_answerable(source.peer, source.local.unwrap_or_else(|| own.ip()), own.port()) {
                    return Some((client, octets));
                }
                core.counters.dropped.add(1);
                None
            })),
            Err(error) => {
                tracing::debug!(%error, "a UDP socket could not be read");
                tokio::time::sleep(READ_PAUSE).await;
            }
        }
    }
}

/// Port 0 cannot be answered, and what claims to come from the very socket it is sent to must not be.
fn is_answerable(peer: SocketAddr, local: IpAddr, port: u16) -> bool {
    peer.port() != 0 && (peer.port() != port || peer.ip() != local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_0_and_our_own_socket_are_never_answered() {
        let own: IpAddr = [169, 254, 25, 10].into();
        let other: IpAddr = [10, 233, 64, 2].into();
        for (peer, answerable) in
            [((own, 53), false), ((other, 0), false), ((own, 5353), true), ((other, 53), true)]
        {
            assert_eq!(is_answerable(peer.into(), own, 53), answerable, "{peer:?}");
        }
    }
}
