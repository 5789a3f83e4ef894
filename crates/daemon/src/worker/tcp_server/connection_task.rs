//! Connection task: reads pipelined queries of a client, writes responses out of order (RFC 7766),
//! enforces the timeouts.

use std::io;
use std::net::Shutdown;
use std::rc::Rc;
use std::time::Duration;

use resolver::action::Client;
use socket2::SockRef;
use tokio::time;
use wire::frame::FrameDecoder;
use wire::header::{Flags, Header};

use super::connection::{ClientConnection, ReadState};
use crate::worker::handler::QueryHandler;
use crate::worker::read_buffer;
use crate::worker::turn::{self, TurnLimiter};

/// How long a client whose connection we close may take to read its last responses.
const LINGER_TIMEOUT: Duration = Duration::from_millis(200);

const READ_LEN: usize = 4096;

/// Queries that are received from a connection per turn.
const QUERIES_PER_TURN: usize = 8;

/// Why a connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CloseReason {
    /// By the client, or by us with nothing pending.
    Done,
    TimedOut,
    /// All connections together buffered too much, and this one was part of it.
    BufferLimit,
    /// The client sent something other than a query.
    NotDns,
}

/// Serves the connection until it is closed.
pub(super) async fn serve(
    connection: &ClientConnection,
    handler: &Rc<impl QueryHandler>,
    client: Client,
    turns: &TurnLimiter,
) -> CloseReason {
    let mut state = ReadState::new();
    let mut reason = CloseReason::Done;
    while !connection.read_closed.get() || connection.has_pending() || state.frames.has_frame() {
        let was_pending = connection.has_pending();
        tokio::select! {
            ready = connection.stream.ready(connection.interest()) => {
                turns.admit().await;
                let open = ready.and_then(|ready| exchange(connection, ready, &mut state.frames));
                if !open.unwrap_or(false) {
                    return reason;
                }
            }
            () = connection.changed.notified() => turns.admit().await,
            () = connection.permit.evicted() => connection.read_closed.set(true),
            () = time::sleep_until(connection.deadline(&state).into()) => {
                reason = CloseReason::TimedOut;
                if connection.is_write_timed_out() || connection.read_closed.replace(true) {
                    return reason;
                }
            }
        }
        let received = receive_queries(connection, handler, client, &mut state.frames);
        if received.broken {
            reason = CloseReason::NotDns;
            state.frames = FrameDecoder::default();
            connection.stop_reading();
        }
        connection.update(&mut state, received.queries > 0, was_pending);
        if !connection.is_buffer_allowed(&state) {
            return CloseReason::BufferLimit;
        }
        turn::end().await;
    }
    if connection.needs_lingering_close() {
        lingering_close(connection).await;
    }
    reason
}

/// Writes and reads what is `ready`; false when the connection is broken.
fn exchange(
    connection: &ClientConnection,
    ready: tokio::io::Ready,
    frames: &mut FrameDecoder,
) -> io::Result<bool> {
    if ready.is_writable() {
        write(connection)?;
    }
    if ready.is_readable() && connection.reads() && !frames.has_frame() {
        read(connection, frames)?;
    }
    Ok(!ready.is_error())
}

fn write(connection: &ClientConnection) -> io::Result<()> {
    let mut buffer = connection.write_buffer.borrow_mut();
    match connection.stream.try_write(&buffer.octets) {
        Ok(written) => {
            buffer.consume(written);
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error),
    }
}

fn read(connection: &ClientConnection, frames: &mut FrameDecoder) -> io::Result<()> {
    read_buffer::with(|buffer| {
        match connection.stream.try_read(buffer.get_mut(..READ_LEN).unwrap_or_default()) {
            Ok(0) => connection.read_closed.set(true),
            Ok(len) => frames.extend(buffer.get(..len).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(())
    })
}

/// What was received in one step.
#[derive(Debug, Default, PartialEq, Eq)]
struct Received {
    queries: usize,
    /// After them, a response or a message shorter than a header: the peer is no DNS client, and
    /// what follows gets no response.
    broken: bool,
}

/// Passes on complete queries, as many as there is capacity for and the turn allows. Responses that
/// are at hand are written at once.
fn receive_queries(
    connection: &ClientConnection,
    handler: &Rc<impl QueryHandler>,
    client: Client,
    frames: &mut FrameDecoder,
) -> Received {
    let mut received = Received::default();
    connection.cork();
    while connection.has_capacity() && !connection.is_at_query_limit() {
        if received.queries == QUERIES_PER_TURN {
            // The rest in the next turn.
            connection.changed.notify_one();
            break;
        }
        let Some(message) = frames.next_frame() else { break };
        if Header::read(message).is_none_or(|header| header.flags.has(Flags::QR)) {
            received.broken = true;
            break;
        }
        connection.query_received();
        handler.on_queries(std::iter::once((client, message)));
        received.queries += 1;
    }
    if connection.is_at_query_limit() {
        connection.read_closed.set(true);
        *frames = FrameDecoder::default();
    }
    connection.uncork();
    received
}

/// Lingering close: shuts down the write side and discards what the client still sends. A close
/// with unread octets would reset the connection and lose responses under way (RFC 1122 section
/// 4.2.2.13).
async fn lingering_close(connection: &ClientConnection) {
    let stream = &connection.stream;
    if SockRef::from(stream).shutdown(Shutdown::Write).is_err() {
        return;
    }
    let discard = async {
        let mut buffer = [0; READ_LEN];
        while stream.readable().await.is_ok() {
            match stream.try_read(&mut buffer) {
                Ok(0) => return,
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return,
                _ => turn::end().await,
            }
        }
    };
    // On a timeout the client has had its time.
    time::timeout(LINGER_TIMEOUT, discard).await.ok();
}

#[cfg(test)]
mod tests;
