//! Server of the control socket: runs in the active instance, on the control thread.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time;
use tracing::{debug, warn};

use super::protocol::{MAX_REQUEST_LEN, Request};
use crate::handover::{SocketDirectory, SocketFile, SocketName, accept_peers};

/// Connections at a time; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 16;
/// For the request on a connection.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// For the client to take a reply.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Answers requests.
pub(crate) trait Responder: 'static {
    /// Sends the replies to a request. An error ends the connection.
    fn respond(&self, request: Request, connection: &mut Connection) -> impl Future<Output = io::Result<()>>;
}

/// Accepts connections of clients. Dropping it closes them and the socket, and removes its file.
#[derive(Debug)]
pub(crate) struct Server {
    file: SocketFile,
    _accept_task: JoinSet<()>,
}

impl Server {
    /// Listens in `directory`. To be called inside a [`LocalSet`](tokio::task::LocalSet).
    ///
    /// # Errors
    /// The socket cannot be bound.
    pub(crate) fn bind(directory: &SocketDirectory, responder: Rc<impl Responder>) -> io::Result<Self> {
        let (listener, file) = directory.bind(SocketName::Control)?;
        let mut accept_task = JoinSet::new();
        let handle = move |stream| handle(Connection { stream }, Rc::clone(&responder));
        accept_task.spawn_local(accept_peers(listener, ("control", MAX_CONNECTIONS), handle));
        Ok(Self { file, _accept_task: accept_task })
    }

    /// True if no instance can be reached in `directory`, where this was bound: the file was removed, or
    /// replaced by an instance that crashed.
    pub(crate) async fn is_lost(&self, directory: &SocketDirectory) -> bool {
        let is_absent = |stream: Option<UnixStream>| stream.is_none();
        !self.file.exists() && directory.connect(SocketName::Control).await.is_ok_and(is_absent)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.file.remove() {
            warn!("the control socket cannot be removed: {error}");
        }
    }
}

async fn handle(mut connection: Connection, responder: Rc<impl Responder>) {
    let answered = match time::timeout(REQUEST_TIMEOUT, connection.receive()).await {
        Ok(Ok(line)) => match Request::parse(&line) {
            Ok(request) => responder.respond(request, &mut connection).await,
            Err(reason) => connection.send_error(&reason).await,
        },
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    };
    if let Err(error) = answered {
        debug!(%error, "a control connection has ended early");
    }
}

/// A client's connection, to which replies are sent.
pub(crate) struct Connection {
    stream: UnixStream,
}

impl Connection {
    /// The request, without its newline.
    async fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        let mut octets = [0; 512];
        loop {
            let len = self.stream.read(&mut octets).await?;
            line.extend(octets.get(..len).unwrap_or_default());
            if let Some(end) = line.iter().position(|octet| *octet == b'\n') {
                line.truncate(end);
                return Ok(line);
            }
            if len == 0 || line.len() >= MAX_REQUEST_LEN {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
    }

    /// Sends a reply.
    ///
    /// # Errors
    /// The client has closed the connection, or does not read.
    pub(crate) async fn send(&mut self, reply: &Value) -> io::Result<()> {
        self.write(&format!("{reply}\n")).await
    }

    /// Sends replies together.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub(crate) async fn send_all(&mut self, replies: &[Value]) -> io::Result<()> {
        let lines: String = replies.iter().map(|reply| format!("{reply}\n")).collect();
        self.write(&lines).await
    }

    /// Resolves when the client has closed the connection. Cancel safe.
    pub(crate) async fn closed(&mut self) {
        // What a client sends after its request is read and ignored.
        while self.stream.read(&mut [0; 64]).await.is_ok_and(|len| len > 0) {}
    }

    async fn write(&mut self, lines: &str) -> io::Result<()> {
        let written = time::timeout(WRITE_TIMEOUT, self.stream.write_all(lines.as_bytes())).await;
        written.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Sends the reason why there is no reply, or no further one.
    pub(crate) async fn send_error(&mut self, reason: &str) -> io::Result<()> {
        self.send(&json!({ "error": reason })).await
    }
}
