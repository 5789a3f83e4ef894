//! One TCP connection to an upstream, with several questions open on it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use resolver::action::{Ask, AttemptId, Failure};
use tokio::io::Interest;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::time;
use wire::frame::{self, Frames};

use crate::clock;

const READ_LEN: usize = 16 * 1024;

/// How long a connection may take and be used.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    /// When dialling ends without success.
    pub(super) dial_until: Instant,
    /// When it takes no more questions.
    pub(super) retire_at: Instant,
    /// How long it is kept without a question.
    pub(super) idle: Duration,
}

/// What is open on a connection, from before it is dialled until it is closed.
pub(super) struct Connection {
    terms: Terms,
    unsent: RefCell<Vec<u8>>,
    questions: RefCell<VecDeque<Question>>,
    last_used: Cell<Instant>,
    has_answered: Cell<bool>,
    closing: Cell<bool>,
    changed: Notify,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Question {
    id: u16,
    since: Instant,
    /// Nothing once it is forgotten; its answer may still come and must find its ID.
    attempt: Option<AttemptId>,
}

impl Connection {
    pub(super) fn new(terms: Terms) -> Self {
        Self {
            terms,
            unsent: RefCell::default(),
            questions: RefCell::default(),
            last_used: Cell::new(clock::now()),
            has_answered: Cell::new(false),
            closing: Cell::new(false),
            changed: Notify::new(),
        }
    }

    /// Puts a question on its way.
    pub(super) fn send(&self, now: Instant, ask: &Ask, message: &[u8]) {
        let Some(header) = wire::header::Header::read(message) else { return };
        frame::push(message, &mut self.unsent.borrow_mut());
        let question = Question { id: header.id, since: now, attempt: Some(ask.attempt) };
        self.questions.borrow_mut().push_back(question);
        self.last_used.set(now);
        self.changed.notify_one();
    }

    pub(super) fn takes_questions(&self, now: Instant) -> bool {
        !self.closing.get() && now < self.terms.retire_at
    }

    pub(super) fn open_questions(&self) -> usize {
        self.questions.borrow().len()
    }

    pub(super) fn waits_longer_than(&self, limit: Duration, now: Instant) -> bool {
        self.questions
            .borrow()
            .front()
            .is_some_and(|oldest| now.saturating_duration_since(oldest.since) > limit)
    }

    pub(super) fn carries(&self, attempt: AttemptId) -> bool {
        self.questions.borrow().iter().any(|question| question.attempt == Some(attempt))
    }

    /// Nobody wants this answer any more. A connection that owes only such answers is closed: it may never give them.
    pub(super) fn forget(&self, attempt: AttemptId) {
        let mut questions = self.questions.borrow_mut();
        let Some(question) = questions.iter_mut().find(|question| question.attempt == Some(attempt)) else {
            return;
        };
        question.attempt = None;
        self.close_if_unwanted(&questions);
    }

    fn close_if_unwanted(&self, questions: &VecDeque<Question>) {
        if !questions.is_empty() && questions.iter().all(|question| question.attempt.is_none()) {
            self.close();
        }
    }

    pub(super) fn close(&self) {
        self.closing.set(true);
        self.changed.notify_one();
    }

    /// The attempts that were open when the connection ended.
    pub(super) fn abandon(&self) -> Vec<AttemptId> {
        self.closing.set(true);
        self.questions.borrow_mut().drain(..).filter_map(|question| question.attempt).collect()
    }

    /// Sends questions and hands each answer to `carry` until the connection ends; says how it ended. After
    /// each batch of answers `freed` is told that there is room.
    pub(super) async fn converse(
        &self,
        stream: TcpStream,
        carry: impl Fn(AttemptId, &[u8]),
        freed: impl Fn(),
    ) -> Failure {
        let mut frames = Frames::default();
        while !self.closing.get() && !self.is_idle_for_long() {
            let writing = !self.unsent.borrow().is_empty();
            let interest = if writing { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
            let served = tokio::select! {
                ready = stream.ready(interest) => ready.and_then(|ready| {
                    if ready.is_writable() {
                        self.write(&stream)?;
                    }
                    if ready.is_readable() {
                        self.read(&stream, &mut frames, &carry)?;
                        freed();
                    }
                    Ok(())
                }),
                () = self.changed.notified() => Ok(()),
                () = time::sleep_until(self.idle_until().into()), if self.has_no_question() => Ok(()),
            };
            if served.is_err() {
                break;
            }
            // Readiness never waits while there is something to read.
            tokio::task::yield_now().await;
        }
        Failure::Closed { reused: self.has_answered.get() }
    }

    fn write(&self, stream: &TcpStream) -> io::Result<()> {
        let mut unsent = self.unsent.borrow_mut();
        match stream.try_write(&unsent) {
            Ok(written) => {
                unsent.drain(..written);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn read(
        &self,
        stream: &TcpStream,
        frames: &mut Frames,
        carry: &impl Fn(AttemptId, &[u8]),
    ) -> io::Result<()> {
        let mut buffer = [0; READ_LEN];
        match stream.try_read(&mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(len) => frames.extend(buffer.get(..len).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
        while let Some(message) = frames.next_message() {
            self.deliver(message, carry);
        }
        Ok(())
    }

    /// Finds the question by its ID. A message with an ID that nobody asked for is out of step.
    fn deliver(&self, message: &[u8], carry: &impl Fn(AttemptId, &[u8])) {
        let id = wire::header::Header::read(message).map(|header| header.id);
        let place = self.questions.borrow().iter().position(|one| Some(one.id) == id);
        let Some(place) = place else { return self.close() };
        let attempt = self.questions.borrow().get(place).and_then(|one| one.attempt);
        if let Some(attempt) = attempt {
            carry(attempt, message);
        }
        // Others may have been added behind it meanwhile; none has left.
        let mut questions = self.questions.borrow_mut();
        questions.remove(place);
        self.close_if_unwanted(&questions);
        self.has_answered.set(true);
        self.last_used.set(clock::now());
    }

    fn has_no_question(&self) -> bool {
        self.questions.borrow().is_empty()
    }

    fn is_idle_for_long(&self) -> bool {
        self.has_no_question() && clock::now() >= self.idle_until()
    }

    /// When the connection ends if no question comes.
    fn idle_until(&self) -> Instant {
        (self.last_used.get() + self.terms.idle).min(self.terms.retire_at).max(self.last_used.get())
    }
}

/// Connects to `upstream` in the time the first question has.
pub(super) async fn dial(connection: &Connection, upstream: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::from_std_stream(linux::tcp::dial_socket(upstream)?);
    let dialled = time::timeout_at(connection.terms.dial_until.into(), socket.connect(upstream)).await;
    dialled.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

#[cfg(test)]
mod tests {
    use std::future::{Future, poll_fn};
    use std::pin::pin;
    use std::rc::Rc;

    use resolver::action::Transport;
    use resolver::policy::UpstreamId;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = listener.local_addr().unwrap();
        let (ours, theirs) = tokio::join!(TcpStream::connect(upstream), listener.accept());
        (ours.unwrap(), theirs.unwrap().0)
    }

    fn connection(idle: Duration) -> Rc<Connection> {
        let later = clock::now() + Duration::from_secs(60);
        Rc::new(Connection::new(Terms { dial_until: later, retire_at: later, idle }))
    }

    fn message(id: u16) -> [u8; 12] {
        let [high, low] = id.to_be_bytes();
        [high, low, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    }

    fn send(connection: &Connection, attempt: u64, id: u16) {
        let ask = Ask {
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

    /// An upstream that takes longer than a connection may idle is waited for, not polled.
    #[tokio::test]
    async fn waits_quietly_for_an_answer() {
        let (ours, mut theirs) = pair().await;
        let connection = connection(Duration::ZERO);
        send(&connection, 1, 7);
        let mut wakes = 0;
        let mut conversing = pin!(connection.converse(ours, |_, _| {}, || {}));
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
        assert_eq!(end.unwrap(), Failure::Closed { reused: true });
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
        let end = time::timeout(PATIENCE, connection.converse(ours, |_, _| {}, || {})).await;
        assert_eq!(end.unwrap(), Failure::Closed { reused: true });
    }

    /// The ID of a forgotten question is free for another one, on the same connection too.
    #[tokio::test]
    async fn an_unwanted_answer_does_not_take_a_wanted_question_along() {
        let (ours, mut theirs) = pair().await;
        let connection = connection(Duration::ZERO);
        send(&connection, 1, 7);
        send(&connection, 2, 8);
        connection.forget(AttemptId(1));
        send(&connection, 3, 7);
        for id in [7, 7, 8] {
            answer(&mut theirs, id).await;
        }
        let carried = RefCell::new(Vec::new());
        let conversing = connection.converse(ours, |attempt, _| carried.borrow_mut().push(attempt.0), || {});
        time::timeout(PATIENCE, conversing).await.unwrap();
        assert_eq!(carried.into_inner(), [3, 2]);
    }
}
