//! Connection task: sends the queries of one upstream connection and passes on what it receives,
//! until the connection is closed.

use std::io;

use resolver::action::{AttemptFailure, AttemptId};
use tokio::time;
use wire::frame::FrameDecoder;

use super::connection::{Delivery, UpstreamConnection};
use super::pending::PendingQuery;
use super::stream::{ReadSide, Stream};
use crate::clock;

/// Receives what arrives on a connection.
pub(super) trait ConnectionHandler {
    /// A message with the ID of an attempt. It may not be the response: the resolver matches.
    fn on_message(&self, attempt: AttemptId, message: &[u8]);
    /// An attempt has its response.
    fn on_completion(&self, attempt: AttemptId, query: PendingQuery);
    /// A message that matches no pending query, and the attempt it may belong to.
    fn on_unmatched(&self, attempt: Option<AttemptId>, message: &[u8]);
    /// All messages are passed on; there may be capacity for more queries.
    fn on_drained(&self);
}

/// Runs the connection until it is closed; returns the failure of the attempts still pending.
pub(super) async fn run(
    connection: &UpstreamConnection,
    mut stream: Stream,
    handler: &impl ConnectionHandler,
) -> AttemptFailure {
    let mut frames = FrameDecoder::default();
    loop {
        if let Some(failure) = connection.close_due(clock::now()) {
            return failure;
        }
        let writing = !connection.write_buffer.borrow().is_empty();
        let read_side = tokio::select! {
            ready = stream.ready(writing) => match ready {
                Ok(ready) => write_and_read(connection, &mut stream, &mut frames, handler, ready),
                Err(error) => Err(error),
            },
            () = connection.changed.notified() => Ok(ReadSide::Open),
            () = time::sleep_until(connection.deadline().into()) => Ok(ReadSide::Open),
        };
        match read_side {
            Ok(ReadSide::Open) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return AttemptFailure::Closed { reused: false };
            }
            Ok(ReadSide::EndOfFile) | Err(_) => return connection.closed(),
        }
        // `ready` does not yield while there is something to read.
        tokio::task::yield_now().await;
    }
}

fn write_and_read(
    connection: &UpstreamConnection,
    stream: &mut Stream,
    frames: &mut FrameDecoder,
    handler: &impl ConnectionHandler,
    ready: tokio::io::Ready,
) -> io::Result<ReadSide> {
    if ready.is_writable() {
        stream.write(&mut connection.write_buffer.borrow_mut())?;
    }
    if !ready.is_readable() {
        return Ok(ReadSide::Open);
    }
    let read_side = stream.read(frames)?;
    while let Some(message) = frames.next_frame() {
        match connection.deliver(message, |attempt| handler.on_message(attempt, message)) {
            Delivery::Response(attempt, query) => handler.on_completion(attempt, query),
            Delivery::Unmatched(attempt) => handler.on_unmatched(attempt, message),
            Delivery::Discarded => {}
            Delivery::Malformed => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
    handler.on_drained();
    Ok(read_side)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::{Future, poll_fn};
    use std::pin::pin;
    use std::rc::Rc;
    use std::time::Duration;

    use resolver::action::{SendQuery, Transport};
    use resolver::policy::UpstreamId;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use wire::frame;

    use super::super::connection::ConnectionLimits;
    use super::*;

    const WAIT_LIMIT: Duration = Duration::from_secs(5);
    const CLOSED: AttemptFailure = AttemptFailure::Closed { reused: true };

    /// Records what it receives; quarantines `connection` when a message arrives for one of
    /// `mismatched`.
    #[derive(Default)]
    struct Recorder {
        messages: RefCell<Vec<u64>>,
        mismatched: Vec<u64>,
        connection: Option<Rc<UpstreamConnection>>,
        unmatched: RefCell<Vec<Option<u64>>>,
    }

    impl ConnectionHandler for Recorder {
        fn on_message(&self, attempt: AttemptId, _: &[u8]) {
            self.messages.borrow_mut().push(attempt.0);
            if let Some(connection) =
                self.connection.as_ref().filter(|_| self.mismatched.contains(&attempt.0))
            {
                connection.quarantine(attempt);
            }
        }

        fn on_completion(&self, _: AttemptId, _: PendingQuery) {}

        fn on_unmatched(&self, attempt: Option<AttemptId>, _: &[u8]) {
            self.unmatched.borrow_mut().push(attempt.map(|attempt| attempt.0));
        }

        fn on_drained(&self) {}
    }

    async fn pair() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = listener.local_addr().unwrap();
        let (ours, theirs) = tokio::join!(TcpStream::connect(upstream), listener.accept());
        (Stream::plain(ours.unwrap()), theirs.unwrap().0)
    }

    fn connection(idle_timeout: Duration) -> Rc<UpstreamConnection> {
        let now = clock::now();
        let later = now + Duration::from_secs(60);
        let connection = UpstreamConnection::new(
            now,
            ConnectionLimits { dial_deadline: later, retire_at: later, idle_timeout },
        );
        connection.established();
        Rc::new(connection)
    }

    fn message(id: u16) -> [u8; 12] {
        let [high, low] = id.to_be_bytes();
        [high, low, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    }

    fn send(connection: &UpstreamConnection, attempt: u64, id: u16) {
        let query = SendQuery {
            attempt: AttemptId(attempt),
            upstream: UpstreamId(0),
            transport: Transport::Tcp,
            fresh: false,
            until: clock::now(),
            message: (0, 0),
        };
        connection.send(clock::now(), &query, &message(id));
    }

    async fn respond(theirs: &mut TcpStream, id: u16) {
        let mut framed = Vec::new();
        frame::push(&message(id), &mut framed);
        theirs.write_all(&framed).await.unwrap();
    }

    async fn closed(connection: &UpstreamConnection, ours: Stream, recorder: &Recorder) -> AttemptFailure {
        time::timeout(WAIT_LIMIT, run(connection, ours, recorder)).await.unwrap()
    }

    /// Also when the upstream takes longer than the idle timeout.
    #[tokio::test]
    async fn waiting_for_a_response_does_not_poll() {
        let (ours, mut theirs) = pair().await;
        let connection = connection(Duration::ZERO);
        send(&connection, 1, 7);
        let mut wakes = 0;
        let recorder = Recorder::default();
        let mut running = pin!(run(&connection, ours, &recorder));
        let counted = poll_fn(|context| {
            wakes += 1;
            running.as_mut().poll(context)
        });
        let slow_upstream = async {
            theirs.read_exact(&mut [0; 14]).await.unwrap();
            time::sleep(Duration::from_millis(50)).await;
            respond(&mut theirs, 7).await;
        };
        let (closed, ()) = tokio::join!(time::timeout(WAIT_LIMIT, counted), slow_upstream);
        assert_eq!(closed.unwrap(), CLOSED);
        assert!(wakes < 20, "woke up {wakes} times");
    }

    #[tokio::test]
    async fn closes_when_all_pending_queries_are_cancelled() {
        let (ours, mut theirs) = pair().await;
        let connection = connection(Duration::from_secs(60));
        send(&connection, 1, 7);
        send(&connection, 2, 8);
        connection.cancel(AttemptId(1));
        respond(&mut theirs, 8).await;
        assert_eq!(closed(&connection, ours, &Recorder::default()).await, CLOSED);
    }

    /// A late response must not be taken for that of another query (RFC 7766 section 6.2.4).
    #[tokio::test]
    async fn accepts_no_query_after_one_was_cancelled() {
        let connection = connection(Duration::from_secs(60));
        send(&connection, 1, 7);
        send(&connection, 2, 8);
        assert!(connection.accepts_queries(clock::now()));
        connection.cancel(AttemptId(1));
        assert!(!connection.accepts_queries(clock::now()));
    }

    #[tokio::test]
    async fn an_unmatched_message_goes_to_the_oldest_query_and_pending_queries_get_their_responses() {
        let (ours, mut theirs) = pair().await;
        let connection = connection(Duration::from_secs(60));
        send(&connection, 1, 7);
        send(&connection, 2, 8);
        for id in [9, 8, 7] {
            respond(&mut theirs, id).await;
        }
        let recorder = Recorder::default();
        assert_eq!(closed(&connection, ours, &recorder).await, CLOSED);
        assert_eq!(
            (recorder.unmatched.into_inner(), recorder.messages.into_inner()),
            (vec![Some(1)], vec![2, 1])
        );
    }

    /// The right response may still follow.
    #[tokio::test]
    async fn a_mismatch_leaves_all_queries_pending_until_they_are_done() {
        let (ours, mut theirs) = pair().await;
        let connection = connection(Duration::from_secs(60));
        send(&connection, 1, 7);
        send(&connection, 2, 8);
        for id in [7, 7, 8] {
            respond(&mut theirs, id).await;
        }
        let recorder =
            Recorder { mismatched: vec![1], connection: Some(Rc::clone(&connection)), ..Recorder::default() };
        let cancelling = async {
            while recorder.messages.borrow().len() < 3 {
                tokio::task::yield_now().await;
            }
            connection.cancel(AttemptId(1));
        };
        let (failure, ()) = tokio::join!(closed(&connection, ours, &recorder), cancelling);
        assert_eq!((failure, recorder.messages.into_inner()), (CLOSED, vec![1, 1, 2]));
    }

    /// Queries without a mismatch are retried elsewhere; the others were cancelled by the resolver.
    #[tokio::test]
    async fn a_connection_that_stays_out_of_sync_is_closed() {
        let (ours, mut theirs) = pair().await;
        let connection = connection(Duration::from_secs(60));
        for (attempt, id) in [(1, 7), (2, 8), (3, 9)] {
            send(&connection, attempt, id);
        }
        for id in [7, 8] {
            respond(&mut theirs, id).await;
        }
        let recorder = Recorder {
            mismatched: vec![1, 2],
            connection: Some(Rc::clone(&connection)),
            ..Recorder::default()
        };
        let cancelling = async {
            while recorder.messages.borrow().len() < 2 {
                tokio::task::yield_now().await;
            }
            connection.cancel(AttemptId(1));
        };
        let (failure, ()) = tokio::join!(closed(&connection, ours, &recorder), cancelling);
        assert_eq!((failure, connection.take_pending()), (CLOSED, vec![AttemptId(3)]));
    }

    #[tokio::test]
    async fn octets_that_are_no_message_close_the_connection() {
        for octets in [&[0, 0][..], &[0, 3, 1, 2, 3], &[0, 11, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0]] {
            let (ours, mut theirs) = pair().await;
            let connection = connection(Duration::from_secs(60));
            send(&connection, 1, 7);
            send(&connection, 2, 8);
            respond(&mut theirs, 7).await;
            theirs.write_all(octets).await.unwrap();
            let failure = closed(&connection, ours, &Recorder::default()).await;
            assert_eq!(failure, AttemptFailure::Closed { reused: false }, "{octets:?}");
            assert_eq!(connection.take_pending(), [AttemptId(2)]);
        }
    }
}
