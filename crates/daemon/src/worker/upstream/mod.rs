//! Upstream I/O of a worker: opens the connections that the resolver asks for, writes and reads
//! messages on them, reports their end. It decides nothing.

mod dial;
mod endpoint;
mod known_endpoints;
mod socket_error;
mod stream;
mod stream_task;
mod tls_error;
mod tls_log;
mod udp;
mod write_history;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use resolver::IdMap;
use resolver::action::{AttemptFailure, CheckAcknowledged, Dial, Transport, UpstreamConnectionId};
use tokio::net::UdpSocket;
use tokio::task::AbortHandle;
use tokio::time;

use super::handler::ResponseHandler;
use super::tasks::Tasks;
use crate::logging::Logger;
pub(crate) use endpoint::{TlsParams, UpstreamEndpoint, UpstreamEndpoints};
use known_endpoints::KnownEndpoints;
use stream_task::WriteBuffer;
use tls_log::TlsLog;

/// Longer than the deadline of any query.
const QUERY_TIMEOUT: Duration = Duration::from_secs(10);

/// An open connection, or one that is being dialled; its task reads from it.
struct OpenConnection {
    output: Output,
    task: AbortHandle,
}

/// Where queries are written.
enum Output {
    Stream(Rc<WriteBuffer>),
    Socket(Rc<UdpSocket>),
}

/// The connections of a worker to its upstreams.
pub(super) struct UpstreamConnections {
    endpoints: RefCell<KnownEndpoints>,
    open: RefCell<IdMap<UpstreamConnectionId, OpenConnection>>,
    /// Connections that failed when the last actions were executed.
    failed: RefCell<Vec<(UpstreamConnectionId, AttemptFailure)>>,
    /// Queries that could not be written: connection and message ID.
    unsent: RefCell<Vec<(UpstreamConnectionId, u16, AttemptFailure)>>,
    tls_log: TlsLog,
    tasks: Rc<Tasks>,
}

impl UpstreamConnections {
    pub(super) fn new(endpoints: UpstreamEndpoints, logger: Logger, tasks: Rc<Tasks>) -> Self {
        Self {
            endpoints: RefCell::new(KnownEndpoints::new(endpoints)),
            open: RefCell::default(),
            failed: RefCell::default(),
            unsent: RefCell::default(),
            tls_log: TlsLog::new(logger),
            tasks,
        }
    }

    /// Adds the upstreams of a new configuration. Those removed by it are dropped when the queries
    /// in flight are done.
    pub(super) fn reconfigure(self: &Rc<Self>, endpoints: UpstreamEndpoints) {
        let configuration = self.endpoints.borrow_mut().configure(endpoints);
        let connections = Rc::clone(self);
        self.tasks.spawn_temporary(async move {
            time::sleep(QUERY_TIMEOUT).await;
            let mut endpoints = connections.endpoints.borrow_mut();
            endpoints.forget_removed_by(configuration);
            connections.tls_log.retain(|upstream| endpoints.get(upstream).is_some());
        });
    }

    /// Opens a connection.
    pub(super) fn dial(self: &Rc<Self>, handler: &Rc<impl ResponseHandler>, dial: Dial) {
        let Dial { connection: id, transport } = dial;
        let endpoint = self.endpoints.borrow().get(id.upstream);
        let Some(endpoint) = endpoint else { return self.fail(id, AttemptFailure::Local) };
        let opened = match transport {
            Transport::Tcp => self.open_stream(handler, id, endpoint),
            Transport::Udp => match udp::open(&endpoint) {
                Ok(socket) => self.open_socket(handler, id, Rc::new(socket)),
                Err(error) => return self.fail(id, socket_error::attempt_failure(&error)),
            },
        };
        self.open.borrow_mut().insert(id, opened);
    }

    /// Sends a message, once the connection is established.
    pub(super) fn send(&self, id: UpstreamConnectionId, message: &[u8]) {
        let sent = match self.open.borrow().get(&id).map(|open| &open.output) {
            Some(Output::Stream(buffer)) => {
                buffer.push(message);
                Ok(())
            }
            Some(Output::Socket(socket)) => udp::send(socket, message),
            None => return,
        };
        let Err(failure) = sent.map_err(|error| socket_error::attempt_failure(&error)) else { return };
        if failure.is_local() {
            let message_id = wire::header::Header::read(message).map_or(0, |header| header.id);
            return self.unsent.borrow_mut().push((id, message_id, failure));
        }
        self.disconnect(id);
        self.fail(id, failure);
    }

    /// Lets the task of a stream report octets that are not acknowledged, or its SYN.
    pub(super) fn check_acknowledged(&self, check: CheckAcknowledged) {
        let open = self.open.borrow();
        if let Some(Output::Stream(buffer)) = open.get(&check.connection).map(|open| &open.output) {
            buffer.check_acknowledged(check.sent_before);
        }
    }

    /// Closes a connection, or ends its dial.
    pub(super) fn disconnect(&self, id: UpstreamConnectionId) {
        if let Some(open) = self.open.borrow_mut().remove(&id) {
            open.task.abort();
        }
    }

    /// Takes the connections that have failed while actions were executed.
    pub(super) fn take_failed(&self) -> Vec<(UpstreamConnectionId, AttemptFailure)> {
        self.failed.take()
    }

    /// Takes the queries that could not be written while actions were executed.
    pub(super) fn take_unsent(&self) -> Vec<(UpstreamConnectionId, u16, AttemptFailure)> {
        self.unsent.take()
    }

    fn fail(&self, id: UpstreamConnectionId, failure: AttemptFailure) {
        self.failed.borrow_mut().push((id, failure));
    }

    fn open_stream(
        self: &Rc<Self>,
        handler: &Rc<impl ResponseHandler>,
        id: UpstreamConnectionId,
        endpoint: Arc<UpstreamEndpoint>,
    ) -> OpenConnection {
        let buffer = Rc::new(WriteBuffer::default());
        let (connections, handler, output) = (Rc::clone(self), Rc::clone(handler), Rc::clone(&buffer));
        let task = tokio::task::spawn_local(async move {
            let used = async {
                match dial::dial(&endpoint, &output, || handler.on_unacknowledged(id)).await {
                    Ok(stream) => {
                        handler.on_connected(id);
                        if let Err(error) = stream_task::run(id, &output, stream, &handler).await {
                            connections.tls_log.log_alert(id.upstream, endpoint.addr, &error);
                        }
                        AttemptFailure::Closed
                    }
                    Err(error) => {
                        connections.tls_log.log(id.upstream, endpoint.addr, &error);
                        socket_error::dial_failure(&error)
                    }
                }
            };
            let failure = connections.tasks.guard(used).await.unwrap_or(AttemptFailure::Closed);
            connections.open.borrow_mut().remove(&id);
            handler.on_disconnected(id, failure);
        });
        OpenConnection { output: Output::Stream(buffer), task: task.abort_handle() }
    }

    fn open_socket(
        self: &Rc<Self>,
        handler: &Rc<impl ResponseHandler>,
        id: UpstreamConnectionId,
        socket: Rc<UdpSocket>,
    ) -> OpenConnection {
        let (connections, handler, output) = (Rc::clone(self), Rc::clone(handler), Rc::clone(&socket));
        let task = tokio::task::spawn_local(async move {
            let error = connections.tasks.guard(udp::receive(id, &socket, &handler)).await;
            connections.open.borrow_mut().remove(&id);
            let failure = error.map_or(AttemptFailure::Closed, |error| socket_error::attempt_failure(&error));
            handler.on_disconnected(id, failure);
        });
        OpenConnection { output: Output::Socket(output), task: task.abort_handle() }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::unix::net::UnixStream;

    use resolver::policy::UpstreamId;
    use tokio::task::LocalSet;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_removed_upstream_is_kept_until_its_queries_in_flight_are_done() {
        let reconfigured = async {
            let (removed, kept) = (UpstreamId(0), UpstreamId(1));
            let both: UpstreamEndpoints =
                [removed, kept].map(|id| (id, endpoint::loopback(id.0))).into_iter().collect();
            let logger = Logger::start(std::io::sink(), 1, Arc::default()).unwrap();
            let connections =
                Rc::new(UpstreamConnections::new(both.clone(), logger, Tasks::new(Arc::default())));
            connections.reconfigure(both.into_iter().filter(|(id, _)| *id == kept).collect());
            let is_known = |id| connections.endpoints.borrow().get(id).is_some();
            time::sleep(QUERY_TIMEOUT / 2).await;
            assert_eq!((is_known(removed), is_known(kept)), (true, true));
            time::sleep(QUERY_TIMEOUT).await;
            assert_eq!((is_known(removed), is_known(kept)), (false, true));
        };
        LocalSet::new().run_until(reconfigured).await;
    }

    #[tokio::test(start_paused = true)]
    async fn each_removal_has_its_own_time() {
        let reconfigured = async {
            let (first, second) = (UpstreamId(0), UpstreamId(1));
            let with = |ids: &[UpstreamId]| -> UpstreamEndpoints {
                ids.iter().map(|id| (*id, endpoint::loopback(id.0))).collect()
            };
            let logger = Logger::start(std::io::sink(), 1, Arc::default()).unwrap();
            let connections =
                Rc::new(UpstreamConnections::new(with(&[first, second]), logger, Tasks::new(Arc::default())));
            let is_known = |id| connections.endpoints.borrow().get(id).is_some();
            connections.reconfigure(with(&[second]));
            time::sleep(QUERY_TIMEOUT * 6 / 10).await;
            connections.reconfigure(with(&[first]));
            time::sleep(QUERY_TIMEOUT / 10).await;
            connections.reconfigure(with(&[]));
            time::sleep(QUERY_TIMEOUT / 2).await;
            assert_eq!((is_known(first), is_known(second)), (true, true));
            time::sleep(QUERY_TIMEOUT * 45 / 100).await;
            assert_eq!((is_known(first), is_known(second)), (true, false));
            time::sleep(QUERY_TIMEOUT / 10).await;
            assert_eq!((is_known(first), is_known(second)), (false, false));
        };
        LocalSet::new().run_until(reconfigured).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_tls_log_drops_removed_upstreams() {
        let reconfigured = async {
            let (lines, written) = UnixStream::pair().unwrap();
            let logger = Logger::start(written, 8, Arc::default()).unwrap();
            let upstream = UpstreamId(0);
            let configured: UpstreamEndpoints = [(upstream, endpoint::loopback(0))].into_iter().collect();
            let connections = Rc::new(UpstreamConnections::new(
                configured.clone(),
                logger.clone(),
                Tasks::new(Arc::default()),
            ));
            let log_failure = || {
                let error = std::io::ErrorKind::UnexpectedEof.into();
                connections.tls_log.log(upstream, ([127, 0, 0, 1], 853).into(), &error);
            };
            log_failure();
            log_failure();
            connections.reconfigure(UpstreamEndpoints::new());
            time::sleep(QUERY_TIMEOUT * 2).await;
            log_failure();
            assert!(logger.flush(Duration::from_secs(10)));
            lines.set_nonblocking(true).unwrap();
            assert_eq!(BufReader::new(lines).lines().map_while(Result::ok).count(), 2);
        };
        LocalSet::new().run_until(reconfigured).await;
    }
}
