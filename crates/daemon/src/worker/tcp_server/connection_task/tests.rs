//! A connection task against a client on loopback.

use std::cell::Cell;
use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;

use resolver::policy::ListenerId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

use super::super::connection::MAX_UNREAD;
use super::super::limiter::ConnectionLimiter;
use super::super::timeouts::ConnectionTimeouts;
use super::*;
use crate::clock;
use crate::worker::turn::most_per_turn;

const WAIT_LIMIT: Duration = Duration::from_secs(5);
/// For the root, A.
const QUERY: [u8; 17] = [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1];

/// Counts queries, and leaves them unanswered or responds to each at once with 12 octets.
#[derive(Default)]
struct Handler {
    queries: Cell<usize>,
    responds_on: Option<Rc<ClientConnection>>,
}

impl QueryHandler for Handler {
    fn on_queries<'a>(self: &Rc<Self>, packets: impl Iterator<Item = (Client, &'a [u8])>) {
        for (_, message) in packets {
            self.queries.set(self.queries.get() + 1);
            self.responds_on.iter().for_each(|connection| {
                connection.respond(&message[..12]);
            });
        }
    }

    fn has_inflight(&self) -> bool {
        false
    }
}

fn client() -> Client {
    Client {
        listener: ListenerId(0),
        peer: (Ipv4Addr::LOCALHOST, 40_000).into(),
        local: None,
        connection: None,
    }
}

/// A connection, and its client's end.
async fn connected() -> (Rc<ClientConnection>, TcpStream) {
    connected_within(&Arc::new(ConnectionLimiter::new(64, 64 << 20, Arc::default()))).await
}

async fn connected_within(limiter: &Arc<ConnectionLimiter>) -> (Rc<ClientConnection>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let theirs = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (ours, _) = listener.accept().await.unwrap();
    linux::tcp::tune_accepted(&ours).unwrap();
    let permit = limiter.admit(Ipv4Addr::LOCALHOST.into()).unwrap();
    let connection = ClientConnection::new(ours, ListenerId(0), ConnectionTimeouts::default(), permit);
    (Rc::new(connection), theirs)
}

fn turns() -> TurnLimiter {
    TurnLimiter::new(16)
}

fn framed(message: &[u8]) -> Vec<u8> {
    let mut framed = Vec::new();
    wire::frame::push(message, &mut framed);
    framed
}

/// Nothing more is read after end of file, so only the error event shows the reset.
#[tokio::test]
async fn a_reset_ends_a_half_closed_connection() {
    let reset = async {
        let (connection, mut theirs) = connected().await;
        let (handler, turns) = (Rc::new(Handler::default()), turns());
        let leaving = async {
            theirs.write_all(&framed(&QUERY)).await.unwrap();
            theirs.shutdown().await.unwrap();
            while !connection.read_closed.get() {
                tokio::task::yield_now().await;
            }
            SockRef::from(&theirs).set_linger(Some(Duration::ZERO)).unwrap();
            drop(theirs);
        };
        let (reason, ()) = tokio::join!(serve(&connection, &handler, client(), &turns), leaving);
        assert_eq!(connection.inflight.get(), 1);
        reason
    };
    assert_eq!(time::timeout(WAIT_LIMIT, reset).await.unwrap(), CloseReason::Done);
}

#[tokio::test]
async fn a_flooding_client_does_not_starve_other_tasks() {
    let (connection, theirs) = connected().await;
    let mut theirs = theirs.into_std().unwrap();
    theirs.set_nonblocking(false).unwrap();
    let message = framed(&[0; 65_535]);
    let flood = std::thread::Builder::new().spawn(move || {
        let until = clock::now() + WAIT_LIMIT;
        while clock::now() < until && theirs.write_all(&message).is_ok() {}
        clock::now() < until
    });
    let responds_on = Some(Rc::clone(&connection));
    let handler = Rc::new(Handler { responds_on, ..Handler::default() });
    let turns = turns();
    tokio::select! {
        reason = serve(&connection, &handler, client(), &turns) => unreachable!("{reason:?}"),
        () = turns.run() => unreachable!(),
        () = time::sleep(Duration::from_millis(50)) => {}
    }
    drop((connection, handler));
    assert!(flood.unwrap().join().unwrap(), "other tasks ran only after the flood");
}

#[tokio::test]
async fn queries_are_not_received_while_the_write_buffer_is_full() {
    let mut frames = FrameDecoder::default();
    frames.extend(&framed(&QUERY));
    let ((connection, _theirs), handler) = (connected().await, Rc::new(Handler::default()));
    connection.write_buffer.borrow_mut().octets.resize(MAX_UNREAD, 0);
    let too_early = receive_queries(&connection, &handler, client(), &mut frames);
    connection.write_buffer.borrow_mut().octets.clear();
    let received = receive_queries(&connection, &handler, client(), &mut frames);
    assert_eq!((too_early.queries, received.queries), (0, 1));
}

/// Responses wait neither for the task of their connection nor for a turn.
#[tokio::test]
async fn responses_to_received_queries_are_written_at_once_and_together() {
    let (connection, mut theirs) = connected().await;
    connection.stream.writable().await.unwrap();
    let responds_on = Some(Rc::clone(&connection));
    let handler = Rc::new(Handler { responds_on, ..Handler::default() });
    let mut frames = FrameDecoder::default();
    frames.extend(&framed(&QUERY).repeat(3));
    receive_queries(&connection, &handler, client(), &mut frames);
    assert!(!connection.has_pending());
    assert_eq!(theirs.read(&mut [0; 512]).await.unwrap(), 3 * (2 + 12), "in one segment");
    connection.query_received();
    assert!(connection.respond(&QUERY), "a response that comes later is due to be flushed");
    connection.flush();
    assert_eq!(theirs.read(&mut [0; 512]).await.unwrap(), 2 + QUERY.len());
}

/// Responses may come faster than the connections have their turns.
#[tokio::test]
async fn unread_responses_are_within_the_limit_before_a_turn() {
    const MEMORY: usize = 1 << 20;
    let limiter = Arc::new(ConnectionLimiter::new(64, MEMORY, Arc::default()));
    let mut clients = Vec::new();
    for _ in 0..6 {
        clients.push(connected_within(&limiter).await);
    }
    let connections_alone = limiter.memory_used();
    for (connection, _) in clients.iter().cycle().take(6 * 32) {
        connection.query_received();
        connection.respond(&[0; 60_000]);
        connection.flush();
        let buffered = limiter.memory_used() - connections_alone;
        let capacities = clients.iter().map(|(one, _)| one.write_buffer.borrow().octets.capacity());
        assert!(buffered <= MEMORY / 4 && capacities.sum::<usize>() <= MEMORY / 2, "{buffered} octets");
    }
    let (handler, turns) = (Rc::new(Handler::default()), TurnLimiter::new(16));
    let mut closed = 0;
    for (connection, _) in clients.iter().filter(|(connection, _)| !connection.has_capacity()) {
        let served = serve(connection, &handler, client(), &turns);
        let reason = time::timeout(Duration::from_millis(100), served).await;
        closed += usize::from(reason == Ok(CloseReason::BufferLimit));
    }
    assert!(closed >= 3, "{closed} connections");
}

#[tokio::test]
async fn pipelining_clients_have_a_share_of_each_turn() {
    const CLIENTS: usize = 5;
    const PER_TURN: usize = 3;
    let pipelined = async {
        let (handler, turns) = (Rc::new(Handler::default()), Rc::new(TurnLimiter::new(PER_TURN)));
        let mut streams = Vec::new();
        for _ in 0..CLIENTS {
            let (connection, mut theirs) = connected().await;
            theirs.write_all(&framed(&QUERY).repeat(20)).await.unwrap();
            streams.push(theirs);
            let (handler, turns) = (Rc::clone(&handler), Rc::clone(&turns));
            tokio::task::spawn_local(async move { serve(&connection, &handler, client(), &turns).await });
        }
        tokio::task::spawn_local(async move { turns.run().await });
        most_per_turn(CLIENTS * 20, || handler.queries.get()).await
    };
    let most = time::timeout(WAIT_LIMIT, LocalSet::new().run_until(pipelined)).await.unwrap();
    assert_eq!(most, PER_TURN * QUERIES_PER_TURN);
}
