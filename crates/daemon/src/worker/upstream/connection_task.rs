//! What is said on an open connection: questions out, answers in, until it ends.

use std::io;

use resolver::action::{AttemptFailure, AttemptId};
use tokio::time;
use wire::frame::FrameDecoder;

use super::connection::{Connection, Delivery, Question};
use super::stream::{Heard, Line};
use crate::clock;

/// Who hears what a connection brings.
pub(super) trait Audience {
    /// A message for an attempt.
    fn carry(&self, attempt: AttemptId, message: &[u8]);
    /// An attempt has got what it asked for.
    fn answered(&self, attempt: AttemptId, question: Question);
    /// A message that nobody asked for, and for whom it may have been meant.
    fn stray(&self, meant: Option<AttemptId>, message: &[u8]);
    /// All that had come is handed on; there may be room for more questions.
    fn freed(&self);
}

/// Sends questions and hands on answers until the connection ends; says what those hear who still wait.
pub(super) async fn converse(
    connection: &Connection,
    mut line: Line,
    audience: &impl Audience,
) -> AttemptFailure {
    let mut frames = FrameDecoder::default();
    loop {
        if let Some(end) = connection.ending(clock::now()) {
            return end;
        }
        let writing = !connection.unsent.borrow().is_empty();
        let served = tokio::select! {
            ready = line.ready(writing) => match ready {
                Ok(ready) => serve(connection, &mut line, &mut frames, audience, ready),
                Err(error) => Err(error),
            },
            () = connection.changed.notified() => Ok(Heard::Open),
            () = time::sleep_until(connection.rests_until().into()) => Ok(Heard::Open),
        };
        match served {
            Ok(Heard::Open) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return AttemptFailure::Closed { reused: false };
            }
            Ok(Heard::Last) | Err(_) => return connection.end(),
        }
        // Readiness never waits while there is something to read.
        tokio::task::yield_now().await;
    }
}

fn serve(
    connection: &Connection,
    line: &mut Line,
    frames: &mut FrameDecoder,
    audience: &impl Audience,
    ready: tokio::io::Ready,
) -> io::Result<Heard> {
    if ready.is_writable() {
        line.write(&mut connection.unsent.borrow_mut())?;
    }
    if !ready.is_readable() {
        return Ok(Heard::Open);
    }
    let heard = line.read(frames)?;
    while let Some(message) = frames.next_frame() {
        match connection.deliver(message, |attempt| audience.carry(attempt, message)) {
            Delivery::Answered(attempt, question) => audience.answered(attempt, question),
            Delivery::Stray(meant) => audience.stray(meant, message),
            Delivery::Unwanted => {}
            Delivery::Malformed => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
    audience.freed();
    Ok(heard)
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

    use super::super::connection::Terms;
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);
    const CLOSED: AttemptFailure = AttemptFailure::Closed { reused: true };

    /// A conversation, and who listens to it: it distrusts the attempts it was told to.
    #[derive(Default)]
    struct Ear {
        carried: RefCell<Vec<u64>>,
        distrusted: Vec<u64>,
        connection: Option<Rc<Connection>>,
        strays: RefCell<Vec<Option<u64>>>,
    }

    impl Audience for Ear {
        fn carry(&self, attempt: AttemptId, _: &[u8]) {
            self.carried.borrow_mut().push(attempt.0);
            if let Some(connection) =
                self.connection.as_ref().filter(|_| self.distrusted.contains(&attempt.0))
            {
                connection.distrust(attempt);
            }
        }

        fn answered(&self, _: AttemptId, _: Question) {}

        fn stray(&self, meant: Option<AttemptId>, _: &[u8]) {
            self.strays.borrow_mut().push(meant.map(|attempt| attempt.0));
        }

        fn freed(&self) {}
    }

    async fn pair() -> (Line, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = listener.local_addr().unwrap();
        let (ours, theirs) = tokio::join!(TcpStream::connect(upstream), listener.accept());
        (Line::plain(ours.unwrap()), theirs.unwrap().0)
    }

    fn connection(idle: Duration) -> Rc<Connection> {
        let now = clock::now();
        let later = now + Duration::from_secs(60);
        let connection = Connection::new(now, Terms { dial_until: later, retire_at: later, idle });
        connection.established();
        Rc::new(connection)
    }

    fn message(id: u16) -> [u8; 12] {
        let [high, low] = id.to_be_bytes();
        [high, low, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    }

    fn send(connection: &Connection, attempt: u64, id: u16) {
        let ask = SendQuery {
            attempt: AttemptId(attempt),
            upstream: UpstreamId(0),
            transport: Transport::Tcp,
            fresh: false,
            until: clock::now(),
            message: (0, 0),
        };
        connection.send(clock::now(), &ask, &message(id));
    }

    async fn answer(theirs: &mut TcpStream, id: u16) {
        let mut framed = Vec::new();
        frame::push(&message(id), &mut framed);
        theirs.write_all(&framed).await.unwrap();
    }

    async fn end(connection: &Connection, ours: Line, ear: &Ear) -> AttemptFailure {
        time::timeout(PATIENCE, converse(connection, ours, ear)).await.unwrap()
    }

    /// An upstream that takes longer than a connection may idle is waited for, not polled.
    #[tokio::test]
    async fn waits_quietly_for_an_answer() {
        let (ours, mut theirs) = pair().await;
        let connection = connection(Duration::ZERO);
        send(&connection, 1, 7);
        let mut wakes = 0;
        let ear = Ear::default();
        let mut conversing = pin!(converse(&connection, ours, &ear));
        let counted = poll_fn(|context| {
            wakes += 1;
            conversing.as_mut().poll(context)
        });
        let slow_upstream = async {
            theirs.read_exact(&mut [0; 14]).await.unwrap();
            time::sleep(Duration::from_millis(50)).await;
            answer(&mut theirs, 7).await;
        };
        let (end, ()) = tokio::join!(time::timeout(PATIENCE, counted), slow_upstream);
        assert_eq!(end.unwrap(), CLOSED);
        assert!(wakes < 20, "woke up {wakes} times");
    }

    /// An upstream that leaves one question without answer does not keep the connection for ever.
    #[tokio::test]
    async fn ends_when_only_unwanted_answers_are_owed() {
        let (ours, mut theirs) = pair().await;
        let connection = connection(Duration::from_secs(60));
        send(&connection, 1, 7);
        send(&connection, 2, 8);
        connection.forget(AttemptId(1));
        answer(&mut theirs, 8).await;
        assert_eq!(end(&connection, ours, &Ear::default()).await, CLOSED);
    }

    /// A connection on which a question was given up takes no other, so that nothing late is mistaken for its answer
    /// (RFC 7766 section 6.2.4).
    #[tokio::test]
    async fn takes_no_question_after_one_was_given_up() {
        let connection = connection(Duration::from_secs(60));
        send(&connection, 1, 7);
        send(&connection, 2, 8);
        assert!(connection.takes_questions(clock::now()));
        connection.forget(AttemptId(1));
        assert!(!connection.takes_questions(clock::now()));
    }

    /// An ID nobody used is no reason to take the answers of others away, and reason enough to ask nothing more.
    #[tokio::test]
    async fn a_stray_message_is_the_oldest_questions_and_those_who_wait_are_served() {
        let (ours, mut theirs) = pair().await;
        let connection = connection(Duration::from_secs(60));
        send(&connection, 1, 7);
        send(&connection, 2, 8);
        for id in [9, 8, 7] {
            answer(&mut theirs, id).await;
        }
        let ear = Ear::default();
        assert_eq!(end(&connection, ours, &ear).await, CLOSED);
        assert_eq!((ear.strays.into_inner(), ear.carried.into_inner()), (vec![Some(1)], vec![2, 1]));
    }

    /// Another answer under the right ID leaves the question open, for the right one may follow.
    #[tokio::test]
    async fn a_doubted_answer_ends_nothing_until_nobody_waits() {
        let (ours, mut theirs) = pair().await;
        let connection = connection(Duration::from_secs(60));
        send(&connection, 1, 7);
        send(&connection, 2, 8);
        for id in [7, 7, 8] {
            answer(&mut theirs, id).await;
        }
        let ear = Ear { distrusted: vec![1], connection: Some(Rc::clone(&connection)), ..Ear::default() };
        let forgetting = async {
            while ear.carried.borrow().len() < 3 {
                tokio::task::yield_now().await;
            }
            connection.forget(AttemptId(1));
        };
        let (end, ()) = tokio::join!(end(&connection, ours, &ear), forgetting);
        assert_eq!((end, ear.carried.into_inner()), (CLOSED, vec![1, 1, 2]));
    }

    /// When no answer follows something else, nothing on the stream can be believed to be whole any more: those who have
    /// heard nothing ask elsewhere, and who doubts goes on by itself.
    #[tokio::test]
    async fn a_stream_that_does_not_come_into_step_again_is_left() {
        let (ours, mut theirs) = pair().await;
        let connection = connection(Duration::from_secs(60));
        for (attempt, id) in [(1, 7), (2, 8), (3, 9)] {
            send(&connection, attempt, id);
        }
        for id in [7, 8] {
            answer(&mut theirs, id).await;
        }
        let ear = Ear { distrusted: vec![1, 2], connection: Some(Rc::clone(&connection)), ..Ear::default() };
        let forgetting = async {
            while ear.carried.borrow().len() < 2 {
                tokio::task::yield_now().await;
            }
            connection.forget(AttemptId(1));
        };
        let (end, ()) = tokio::join!(end(&connection, ours, &ear), forgetting);
        assert_eq!((end, connection.abandon()), (CLOSED, vec![AttemptId(3)]));
    }

    /// What is no message leaves no place from which the next one could be read.
    #[tokio::test]
    async fn octets_that_are_no_message_end_it() {
        for octets in [&[0, 0][..], &[0, 3, 1, 2, 3], &[0, 11, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0]] {
            let (ours, mut theirs) = pair().await;
            let connection = connection(Duration::from_secs(60));
            send(&connection, 1, 7);
            send(&connection, 2, 8);
            answer(&mut theirs, 7).await;
            theirs.write_all(octets).await.unwrap();
            let end = end(&connection, ours, &Ear::default()).await;
            assert_eq!(end, AttemptFailure::Closed { reused: false }, "{octets:?}");
            assert_eq!(connection.abandon(), [AttemptId(2)]);
        }
    }
}
