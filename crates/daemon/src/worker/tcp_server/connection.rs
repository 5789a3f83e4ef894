//! One connection of a client: questions in, answers out, and an end to timeouts.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::Shutdown;
use std::rc::Rc;
use std::time::{Duration, Instant};

use resolver::action::Client;
use resolver::policy::ListenerId;
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time;
use wire::frame::FrameDecoder;
use wire::header::{Flags, Header};

use super::limiter::Place;
use super::timeouts::ConnectionTimeouts;
use super::write_buffer::Unsent;
use crate::clock;
use crate::worker::Core;

/// Questions of one connection that wait for their answers; more are left unread.
const MOST_QUESTIONS: usize = 32;
/// Octets of answers that wait for a client to read them; its questions are left unread meanwhile. What is open already
/// may be answered on top: in all a connection never holds more than 2.2 MiB, and all together have a bound in the room.
const MOST_UNREAD: usize = 128 * 1024;
/// Longer than the deadline of any question: one that is still open then was lost.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// How long a client that must go may take to read its last answers.
const PARTING_TIME: Duration = Duration::from_millis(200);

const READ_LEN: usize = 4096;

/// A connection.
pub(super) struct Connection {
    pub(super) listener: ListenerId,
    timeouts: Cell<ConnectionTimeouts>,
    place: Place,
    unsent: RefCell<Unsent>,
    open_questions: Cell<usize>,
    /// Questions handed over so far.
    asked: Cell<u32>,
    /// No more questions are read: the client has sent its last, or it is to go.
    ended: Cell<bool>,
    /// It is to go although it may have more to ask.
    dismissed: Cell<bool>,
    changed: Notify,
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing more was to be said.
    Done,
    /// The client was too slow or had nothing to ask.
    TimedOut,
    /// Clients together left too much unread, and this one was part of it.
    Unread,
}

/// What is awaited of the client, and since when.
struct Awaited {
    frames: FrameDecoder,
    /// Since when a question is expected whole: the first, or one that has begun to come.
    question: Option<Instant>,
    /// Since when nothing is owed, or the client asked last.
    quiet: Instant,
}

impl Connection {
    pub(super) fn new(listener: ListenerId, timeouts: ConnectionTimeouts, place: Place) -> Self {
        Self {
            listener,
            timeouts: Cell::new(timeouts),
            place,
            unsent: RefCell::new(Unsent::new()),
            open_questions: Cell::new(0),
            asked: Cell::new(0),
            ended: Cell::new(false),
            dismissed: Cell::new(false),
            changed: Notify::new(),
        }
    }

    pub(super) fn answer(&self, message: &[u8]) {
        self.unsent.borrow_mut().push(message);
        self.open_questions.set(self.open_questions.get().saturating_sub(1));
        self.changed.notify_one();
    }

    /// Is dealt with like this from now on.
    pub(super) fn adopt(&self, timeouts: ConnectionTimeouts) {
        self.timeouts.set(timeouts);
        self.changed.notify_one();
    }

    /// Is waited for only a moment from now on.
    pub(super) fn hurry(&self) {
        self.adopt(self.timeouts.get().hurried());
    }

    pub(super) fn read_no_more(&self) {
        if !self.ended.replace(true) {
            self.dismissed.set(true);
        }
        self.changed.notify_one();
    }

    /// Reads questions and writes answers until the end.
    pub(super) async fn converse(&self, core: &Rc<Core>, client: Client, stream: &TcpStream) -> End {
        let now = clock::now();
        let mut awaited = Awaited { frames: FrameDecoder::default(), question: Some(now), quiet: now };
        let mut end = End::Done;
        while !self.ended.get() || self.owes() {
            let owed = self.owes();
            tokio::select! {
                ready = stream.ready(self.interest()) => {
                    if !ready.and_then(|ready| self.exchange(stream, ready, &mut awaited.frames)).unwrap_or(false) {
                        return end;
                    }
                }
                () = self.changed.notified() => {}
                () = self.place.wanted() => self.ended.set(true),
                () = time::sleep_until(self.deadline(&awaited).into()) => {
                    end = End::TimedOut;
                    if self.is_owed_late() || self.ended.replace(true) {
                        return end;
                    }
                }
            }
            let Ok(asked) = self.ask(core, client, &mut awaited.frames) else {
                core.counters.dropped.add(1);
                return End::Done;
            };
            self.note(&mut awaited, asked > 0, owed);
            if !self.place.hold(self.unsent.borrow().octets.len() + awaited.frames.buffered_len()) {
                return End::Unread;
            }
            // Readiness never waits while there is something to read: a client that sends without pause would
            // have the worker for itself.
            tokio::task::yield_now().await;
        }
        if self.dismissed.get() || self.has_asked_enough() {
            part(stream).await;
        }
        end
    }

    /// Brings up to date what is awaited after a step, in which the client asked or not, and before which it was owed
    /// something or not.
    fn note(&self, awaited: &mut Awaited, asked: bool, owed: bool) {
        let owes = self.owes();
        if asked || owed {
            awaited.quiet = clock::now();
        }
        if owes {
            self.place.busy();
        } else if asked || owed {
            self.place.idle();
            awaited.frames.shrink();
        }
        let incomplete = self.asked.get() == 0 || awaited.frames.is_partial();
        awaited.question = match awaited.question {
            _ if !incomplete || !self.reads() => None,
            Some(since) if !asked => Some(since),
            _ => Some(clock::now()),
        };
    }

    /// True while a question is open or an answer not taken.
    fn owes(&self) -> bool {
        self.open_questions.get() > 0 || !self.unsent.borrow().octets.is_empty()
    }

    fn interest(&self) -> Interest {
        match (self.reads(), self.unsent.borrow().octets.is_empty()) {
            (true, true) => Interest::READABLE,
            (true, false) => Interest::READABLE | Interest::WRITABLE,
            (false, false) => Interest::WRITABLE,
            (false, true) => Interest::ERROR,
        }
    }

    fn reads(&self) -> bool {
        !self.ended.get() && self.has_room()
    }

    fn has_room(&self) -> bool {
        self.open_questions.get() < MOST_QUESTIONS && self.unsent.borrow().octets.len() < MOST_UNREAD
    }

    fn has_asked_enough(&self) -> bool {
        self.timeouts.get().max_queries.is_some_and(|most| self.asked.get() >= most.get())
    }

    /// When timeouts with the client ends: it reads too slowly, asks too slowly, or not at all.
    fn deadline(&self, awaited: &Awaited) -> Instant {
        let timeouts = self.timeouts.get();
        let question = awaited.question.map(|since| since + timeouts.read);
        let mut owed = None;
        if !self.unsent.borrow().octets.is_empty() {
            owed = Some(self.unsent.borrow().since + timeouts.write);
        } else if self.open_questions.get() > 0 {
            owed = Some(awaited.quiet + ANSWER_TIME);
        }
        let next = owed.unwrap_or(awaited.quiet + timeouts.idle);
        question.map_or(next, |question| question.min(next))
    }

    /// True when it is time to give up what the client has not taken.
    fn is_owed_late(&self) -> bool {
        let unsent = self.unsent.borrow();
        !unsent.octets.is_empty() && unsent.since + self.timeouts.get().write <= clock::now()
    }

    /// Writes and reads what is `ready`; false when the connection is broken.
    fn exchange(
        &self,
        stream: &TcpStream,
        ready: tokio::io::Ready,
        frames: &mut FrameDecoder,
    ) -> io::Result<bool> {
        if ready.is_writable() {
            self.write(stream)?;
        }
        if ready.is_readable() && self.reads() {
            self.read(stream, frames)?;
        }
        Ok(!ready.is_error())
    }

    fn write(&self, stream: &TcpStream) -> io::Result<()> {
        let mut unsent = self.unsent.borrow_mut();
        match stream.try_write(&unsent.octets) {
            Ok(written) => {
                unsent.taken(written);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn read(&self, stream: &TcpStream, frames: &mut FrameDecoder) -> io::Result<()> {
        let mut buffer = [0; READ_LEN];
        match stream.try_read(&mut buffer) {
            Ok(0) => self.ended.set(true),
            Ok(len) => frames.extend(buffer.get(..len).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Hands over the questions that have arrived whole, as many as there is room for; says how many.
    fn ask(&self, core: &Rc<Core>, client: Client, frames: &mut FrameDecoder) -> Result<usize, NotDns> {
        let mut asked = 0;
        while self.has_room() && !self.has_asked_enough() {
            let Some(message) = frames.next_frame() else { break };
            if Header::read(message).is_none_or(|header| header.flags.has(Flags::QR)) {
                return Err(NotDns);
            }
            self.open_questions.set(self.open_questions.get() + 1);
            self.asked.set(self.asked.get().saturating_add(1));
            core.queries(std::iter::once((client, message)));
            asked += 1;
        }
        if self.has_asked_enough() {
            self.ended.set(true);
        }
        Ok(asked)
    }
}

/// A message shorter than a header, none at all, or a response: whoever sends it does not ask, and nothing is ever
/// answered to it.
struct NotDns;

/// Says that no more will come. Closing while questions lie unread would reset the connection, and answers on their way
/// would be lost (RFC 1122 section 4.2.2.13).
async fn part(stream: &TcpStream) {
    if SockRef::from(stream).shutdown(Shutdown::Write).is_err() {
        return;
    }
    let unread = async {
        let mut buffer = [0; READ_LEN];
        while stream.readable().await.is_ok() {
            match stream.try_read(&mut buffer) {
                Ok(0) => return,
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    // A client that reads on and on has had its time.
    time::timeout(PARTING_TIME, unread).await.unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{Ipv4Addr, SocketAddr};
    use std::sync::Arc;

    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio::task::LocalSet;

    use super::super::ConnectionLimiter;
    use super::*;
    use crate::worker::tests::core;

    const BOUND: Duration = Duration::from_secs(5);
    /// A question for the root, which the core of these tests, without any zone, leaves open for ever.
    const QUESTION: [u8; 17] = [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1];

    fn client(peer: SocketAddr) -> Client {
        Client { listener: ListenerId(0), peer, local: None, connection: None }
    }

    fn connection() -> Connection {
        let place =
            Arc::new(ConnectionLimiter::new(64, Arc::default())).admit(Ipv4Addr::LOCALHOST.into()).unwrap();
        Connection::new(ListenerId(0), ConnectionTimeouts::default(), place)
    }

    fn framed(message: &[u8]) -> Vec<u8> {
        let mut framed = Vec::new();
        wire::frame::push(message, &mut framed);
        framed
    }

    /// Nothing more is read from a client that has sent its last, so only the error shows that it is gone.
    #[tokio::test]
    async fn a_reset_ends_a_half_closed_connection() {
        let reset = async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut theirs = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (ours, peer) = listener.accept().await.unwrap();
            let connection = connection();
            let core = core();
            let leaving = async {
                theirs.write_all(&framed(&QUESTION)).await.unwrap();
                theirs.shutdown().await.unwrap();
                while !connection.ended.get() {
                    tokio::task::yield_now().await;
                }
                SockRef::from(&theirs).set_linger(Some(Duration::ZERO)).unwrap();
                drop(theirs);
            };
            let (end, ()) = tokio::join!(connection.converse(&core, client(peer), &ours), leaving);
            assert_eq!(connection.open_questions.get(), 1);
            end
        };
        let end = LocalSet::new().run_until(time::timeout(BOUND, reset)).await;
        assert_eq!(end.unwrap(), End::Done);
    }

    #[tokio::test]
    async fn a_flood_leaves_others_their_turn() {
        let others_turn = async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut theirs = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (ours, peer) = listener.accept().await.unwrap();
            let core = core();
            // Long and senseless: each gets FORMERR.
            let senseless = framed(&[0; 65_535]);
            let flood = std::thread::Builder::new().spawn(move || {
                let until = clock::now() + BOUND;
                while clock::now() < until && theirs.write_all(&senseless).is_ok() {}
                clock::now() < until
            });
            let connection = connection();
            tokio::select! {
                end = connection.converse(&core, client(peer), &ours) => unreachable!("{end:?}"),
                () = time::sleep(Duration::from_millis(50)) => {}
            }
            drop(ours);
            flood.unwrap().join().unwrap()
        };
        assert!(LocalSet::new().run_until(others_turn).await, "others had to wait for the end of the flood");
    }

    #[tokio::test]
    async fn questions_wait_while_answers_are_not_read() {
        let asked = async {
            let mut frames = FrameDecoder::default();
            frames.extend(&framed(&QUESTION));
            let (core, connection) = (core(), connection());
            let client = client((Ipv4Addr::LOCALHOST, 40_000).into());
            connection.unsent.borrow_mut().octets.resize(MOST_UNREAD, 0);
            let too_early = connection.ask(&core, client, &mut frames).ok();
            connection.unsent.borrow_mut().octets.clear();
            (too_early, connection.ask(&core, client, &mut frames).ok())
        };
        assert_eq!(LocalSet::new().run_until(asked).await, (Some(0), Some(1)));
    }
}
