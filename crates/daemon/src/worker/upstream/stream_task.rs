//! Stream task: writes queries to one TCP or TLS connection and passes on the messages that it
//! receives, until the connection is closed.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Instant;

use resolver::action::UpstreamConnectionId;
use tokio::sync::Notify;
use wire::frame::{self, FrameDecoder};

use super::stream::{ReadSide, Stream};
use crate::worker::handler::ResponseHandler;
use crate::worker::turn;

/// Framed queries that have not been written.
#[derive(Default)]
pub(super) struct WriteBuffer {
    octets: RefCell<Vec<u8>>,
    changed: Notify,
    /// Whether octets sent before that time are acknowledged is to be checked.
    check: Cell<Option<Instant>>,
    check_requested: Notify,
}

impl WriteBuffer {
    pub(super) fn push(&self, message: &[u8]) {
        frame::push(message, &mut self.octets.borrow_mut());
        self.changed.notify_one();
    }

    /// Requests a report if octets sent before `sent_before` are not acknowledged.
    pub(super) fn check_acknowledged(&self, sent_before: Instant) {
        self.check.set(Some(sent_before));
        self.check_requested.notify_one();
    }

    /// Waits for the next request.
    pub(super) async fn check_requested(&self) -> Instant {
        loop {
            if let Some(sent_before) = self.check.take() {
                return sent_before;
            }
            self.check_requested.notified().await;
        }
    }

    fn is_empty(&self) -> bool {
        self.octets.borrow().is_empty()
    }
}

/// Runs the connection until the upstream closes it or it fails.
///
/// # Errors
///
/// The error of the stream, that of TLS included.
pub(super) async fn run(
    id: UpstreamConnectionId,
    unsent: &WriteBuffer,
    mut stream: Stream,
    handler: &Rc<impl ResponseHandler>,
) -> io::Result<()> {
    let mut frames = FrameDecoder::default();
    loop {
        let ready = tokio::select! {
            ready = stream.ready(!unsent.is_empty()) => ready?,
            () = unsent.changed.notified() => continue,
            sent_before = unsent.check_requested() => {
                if stream.has_unacknowledged(sent_before) {
                    handler.on_unacknowledged(id);
                }
                continue;
            }
        };
        let read_side = write_and_read(unsent, &mut stream, &mut frames, ready);
        if ready.is_readable() {
            handler.on_responses(id, &mut frames);
        }
        if read_side? == ReadSide::EndOfFile {
            return Ok(());
        }
        // `ready` does not yield while there is something to read.
        turn::end().await;
    }
}

fn write_and_read(
    unsent: &WriteBuffer,
    stream: &mut Stream,
    frames: &mut FrameDecoder,
    ready: tokio::io::Ready,
) -> io::Result<ReadSide> {
    let written = if ready.is_writable() { stream.write(&mut unsent.octets.borrow_mut()) } else { Ok(()) };
    // What the upstream sent before it closed, e.g. a TLS alert, says more than the failed write.
    let read_side = if ready.is_readable() { stream.read(frames)? } else { ReadSide::Open };
    written.map(|()| read_side)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::{Future, poll_fn};
    use std::pin::pin;
    use std::time::Duration;

    use resolver::action::AttemptFailure;
    use resolver::policy::UpstreamId;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time;

    use super::*;
    use crate::clock;

    const WAIT_LIMIT: Duration = Duration::from_secs(5);
    const CONNECTION: UpstreamConnectionId = UpstreamConnectionId { upstream: UpstreamId(0), number: 1 };

    /// Records the messages that it receives, and counts reports of unacknowledged octets.
    #[derive(Default)]
    struct Recorder(RefCell<Vec<Vec<u8>>>, Cell<usize>);

    impl ResponseHandler for Recorder {
        fn on_connected(self: &Rc<Self>, _: UpstreamConnectionId) {}

        fn on_unacknowledged(self: &Rc<Self>, _: UpstreamConnectionId) {
            self.1.set(self.1.get() + 1);
        }

        fn on_response(self: &Rc<Self>, _: UpstreamConnectionId, message: &[u8]) {
            self.0.borrow_mut().push(message.to_vec());
        }

        fn on_responses(self: &Rc<Self>, id: UpstreamConnectionId, frames: &mut FrameDecoder) {
            while let Some(message) = frames.next_frame() {
                self.on_response(id, message);
            }
        }

        fn on_disconnected(self: &Rc<Self>, _: UpstreamConnectionId, _: AttemptFailure) {}
    }

    async fn pair() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = listener.local_addr().unwrap();
        let (ours, theirs) = tokio::join!(TcpStream::connect(upstream), listener.accept());
        (Stream::plain(ours.unwrap()), theirs.unwrap().0)
    }

    #[tokio::test]
    async fn waiting_for_a_response_does_not_poll() {
        let (ours, mut theirs) = pair().await;
        let (unsent, recorder) = (WriteBuffer::default(), Rc::<Recorder>::default());
        unsent.push(b"query");
        let mut wakes = 0;
        let mut running = pin!(run(CONNECTION, &unsent, ours, &recorder));
        let counted = poll_fn(|context| {
            wakes += 1;
            running.as_mut().poll(context)
        });
        let slow_upstream = async {
            theirs.read_exact(&mut [0; 7]).await.unwrap();
            time::sleep(Duration::from_millis(50)).await;
            theirs.write_all(b"\0\x08response").await.unwrap();
            drop(theirs);
        };
        let (closed, ()) = tokio::join!(time::timeout(WAIT_LIMIT, counted), slow_upstream);
        closed.unwrap().unwrap();
        assert_eq!(*recorder.0.borrow(), [b"response"]);
        assert!(wakes < 20, "woke up {wakes} times");
    }

    #[tokio::test]
    async fn messages_before_the_end_are_passed_on_and_an_incomplete_one_is_not() {
        let (ours, mut theirs) = pair().await;
        let (unsent, recorder) = (WriteBuffer::default(), Rc::<Recorder>::default());
        theirs.write_all(b"\0\x01a\0\0\0\x02bc\0\x05de").await.unwrap();
        drop(theirs);
        time::timeout(WAIT_LIMIT, run(CONNECTION, &unsent, ours, &recorder)).await.unwrap().unwrap();
        assert_eq!(*recorder.0.borrow(), [&b"a"[..], b"", b"bc"]);
    }

    /// A peer that does not read: its host acknowledges until its buffer is full.
    #[tokio::test]
    async fn unacknowledged_octets_are_reported_when_asked() {
        let (ours, theirs) = pair().await;
        let (unsent, recorder) = (WriteBuffer::default(), Rc::<Recorder>::default());
        let running = run(CONNECTION, &unsent, ours, &recorder);
        let checks = async {
            unsent.push(b"acknowledged");
            theirs.readable().await.unwrap();
            unsent.check_acknowledged(clock::now());
            tokio::task::yield_now().await;
            while recorder.1.get() == 0 {
                unsent.push(&[0; 60_000]);
                unsent.check_acknowledged(clock::now());
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            ended = running => ended.unwrap(),
            checked = time::timeout(WAIT_LIMIT, checks) => checked.unwrap(),
        }
        assert_eq!(recorder.1.get(), 1);
    }
}
