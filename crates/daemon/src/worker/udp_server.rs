//! UDP server: queries of clients received and responses sent in batches.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use linux::udp::{RecvBatch, SendBatch, UdpListener, UdpReadiness};
use resolver::action::{Action, Client, ClientResponse, Outbox};
use resolver::counters::WorkerCounters;
use resolver::policy::ListenerId;
use tokio::task::AbortHandle;

use super::drain;
use super::handler::QueryHandler;
use super::sockets::RegisteredUdp;
use super::tasks::Tasks;
use super::turn;
use crate::clock;
use crate::metrics::ProcessCounters;

/// Longer than the deadline of any query.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Pause before a socket is read again after an error.
const READ_PAUSE: Duration = Duration::from_millis(100);

/// The UDP sockets of a worker. A listener on the wildcard addresses has one per address family;
/// an address has more than one when a predecessor had more workers.
pub(super) struct UdpServer {
    sockets: Rc<RefCell<Vec<Socket>>>,
    batch: RefCell<SendBatch>,
    counters: Arc<WorkerCounters>,
    process: Arc<ProcessCounters>,
    tasks: Rc<Tasks>,
}

struct Socket {
    id: ListenerId,
    is_ipv6: bool,
    listener: Arc<UdpListener>,
    task: AbortHandle,
    /// Its listener is closed: it only sends the responses of queries in flight.
    closing: bool,
}

impl UdpServer {
    pub(super) fn new(
        counters: Arc<WorkerCounters>,
        process: Arc<ProcessCounters>,
        tasks: Rc<Tasks>,
    ) -> Self {
        Self { sockets: Rc::default(), batch: RefCell::default(), counters, process, tasks }
    }

    /// Reads from `socket` from now on.
    pub(super) fn open(&self, handler: &Rc<impl QueryHandler>, id: ListenerId, socket: RegisteredUdp) {
        let RegisteredUdp { listener, own, readiness } = socket;
        let listener = Arc::new(listener);
        let reader =
            Reader { id, own, listener: Arc::clone(&listener), counters: Arc::clone(&self.counters) };
        let task = self.tasks.spawn_permanent("UDP reader", reader.run(Rc::clone(handler), readiness));
        self.process.udp_queues.register(&listener);
        let socket = Socket { id, is_ipv6: own.is_ipv6(), listener, task, closing: false };
        self.sockets.borrow_mut().push(socket);
    }

    /// Stops reading on a listener; its sockets close when the queries in flight are done.
    pub(super) fn close(&self, handler: &Rc<impl QueryHandler>, id: ListenerId) {
        for socket in self.sockets.borrow_mut().iter_mut().filter(|socket| socket.id == id) {
            socket.task.abort();
            socket.closing = true;
        }
        let (handler, sockets) = (Rc::clone(handler), Rc::clone(&self.sockets));
        let process = Arc::clone(&self.process);
        self.tasks.spawn_temporary(async move {
            drain::wait(clock::now() + RESPONSE_TIMEOUT, || !handler.has_inflight()).await;
            process.udp_queues.read();
            sockets.borrow_mut().retain(|socket| socket.id != id || !socket.closing);
        });
    }

    /// Stops reading; responses are still sent.
    pub(super) fn stop_reading(&self) {
        for socket in self.sockets.borrow().iter() {
            socket.task.abort();
        }
    }

    /// Sends the UDP responses in `outbox`, one batch per socket.
    pub(super) fn flush(&self, outbox: &Outbox) {
        let process = &self.process;
        let sockets = self.sockets.borrow();
        let mut left = outbox.actions.iter().filter(|action| udp_response(action).is_some()).count();
        for (index, Socket { id, is_ipv6, listener: socket, .. }) in sockets.iter().enumerate() {
            if left == 0 {
                return;
            }
            let is_alike = |other: &Socket| other.id == *id && other.is_ipv6 == *is_ipv6;
            if sockets.iter().take(index).any(is_alike) {
                continue;
            }
            let responses = outbox.actions.iter().filter_map(udp_response).filter(|response| {
                let Client { listener, peer, .. } = response.client;
                listener == *id && peer.is_ipv6() == *is_ipv6
            });
            let mut count = 0;
            let responses = responses.map(|response| {
                count += 1;
                (outbox.octets(response.message), response.client.peer, response.client.local)
            });
            let sent = socket.send_with(&mut self.batch.borrow_mut(), responses);
            left = left.saturating_sub(count);
            if sent.refused + sent.dropped > 0 {
                process.udp_send_errors.add(u64::try_from(sent.refused + sent.dropped).unwrap_or(u64::MAX));
                let filtered = u64::try_from(sent.filtered).unwrap_or(u64::MAX);
                process.packet_filter_rejects.clients.add(filtered);
            }
        }
    }
}

fn udp_response(action: &Action) -> Option<&ClientResponse> {
    match action {
        Action::Respond(response) if response.client.connection.is_none() => Some(response),
        _ => None,
    }
}

/// The task that reads one socket.
struct Reader {
    id: ListenerId,
    own: SocketAddr,
    listener: Arc<UdpListener>,
    counters: Arc<WorkerCounters>,
}

impl Reader {
    /// Passes on received queries batch by batch, a share of them or a quantum of time per turn.
    async fn run(self, handler: Rc<impl QueryHandler>, readiness: UdpReadiness) {
        let Self { id, own, listener, counters } = self;
        let mut batch = RecvBatch::new();
        let mut received = 0;
        let mut turn_end = clock::now();
        loop {
            if received >= turn::SHARE && clock::now() >= turn_end {
                turn::end().await;
                received = 0;
                turn_end = clock::now() + turn::QUANTUM;
            }
            match readiness.receive(&listener, &mut batch).await {
                Ok(count) => {
                    received += count;
                    handler.on_queries(batch.iter().filter_map(|(octets, source)| {
                        let client =
                            Client { listener: id, peer: source.peer, local: source.local, connection: None };
                        if is_answerable(source.peer, source.local.unwrap_or_else(|| own.ip()), own.port()) {
                            return Some((client, octets));
                        }
                        counters.dropped.add(1);
                        None
                    }));
                }
                Err(error) => {
                    tracing::debug!(%error, "a UDP socket could not be read");
                    tokio::time::sleep(READ_PAUSE).await;
                }
            }
        }
    }
}

/// False for source port 0, and for a source that is the socket itself (a loop).
fn is_answerable(peer: SocketAddr, local: IpAddr, port: u16) -> bool {
    peer.port() != 0 && (peer.port() != port || peer.ip() != local)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::task::LocalSet;

    use super::super::turn::most_per_turn;
    use super::*;

    /// Counts queries; takes a quantum for each batch.
    #[derive(Default)]
    struct Recorder(Cell<usize>);

    impl QueryHandler for Recorder {
        fn on_queries<'a>(self: &Rc<Self>, packets: impl Iterator<Item = (Client, &'a [u8])>) {
            let end = clock::now() + turn::QUANTUM;
            while clock::now() < end {
                std::hint::spin_loop();
            }
            self.0.set(self.0.get() + packets.count());
        }

        fn has_inflight(&self) -> bool {
            false
        }
    }

    #[tokio::test]
    async fn a_flooded_socket_has_a_share_of_each_turn() {
        // As many as the kernel's default queue holds.
        const FLOOD: usize = 200;
        let flooded = async {
            let listener = UdpListener::bind(([127, 0, 0, 1], 0).into()).unwrap();
            let (own, readiness) = (listener.local_addr().unwrap(), listener.readiness().unwrap());
            let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            for _ in 0..FLOOD {
                client.send_to(&[0; 17], own).unwrap();
            }
            let recorder = Rc::<Recorder>::default();
            let server = UdpServer::new(Arc::default(), Arc::default(), Tasks::new(Arc::default()));
            server.open(&recorder, ListenerId(0), RegisteredUdp { listener, own, readiness });
            most_per_turn(FLOOD, || recorder.0.get()).await
        };
        assert_eq!(LocalSet::new().run_until(flooded).await, turn::SHARE);
    }

    #[test]
    fn source_port_0_and_our_own_socket_get_no_response() {
        let own: IpAddr = [169, 254, 25, 10].into();
        let other: IpAddr = [10, 233, 64, 2].into();
        for (peer, answerable) in
            [((own, 53), false), ((other, 0), false), ((own, 5353), true), ((other, 53), true)]
        {
            assert_eq!(is_answerable(peer.into(), own, 53), answerable, "{peer:?}");
        }
    }
}
