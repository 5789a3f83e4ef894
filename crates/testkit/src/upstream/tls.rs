//! TLS in front of a server that speaks TCP.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Takes off TLS and hands each message to another server, one after another as CoreDNS does; until dropped.
#[derive(Debug)]
pub struct TlsProxy {
    addr: SocketAddr,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl TlsProxy {
    /// Listens at `addr` for the server at `behind`; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn start(addr: SocketAddr, behind: SocketAddr, config: Arc<ServerConfig>) -> io::Result<Self> {
        let listener = TcpListener::bind(addr)?;
        let addr = listener.local_addr()?;
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        let thread = Builder::new().name(format!("veil {addr}")).spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if end.load(Ordering::Relaxed) {
                    return;
                }
                let config = Arc::clone(&config);
                // It ends with its connection, in whatever way that ends.
                let served = Builder::new().spawn(move || drop(serve(stream, behind, config)));
                drop(served);
            }
        })?;
        Ok(Self { addr, ended, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for TlsProxy {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for a connection.
        drop(TcpStream::connect(self.addr));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn serve(stream: TcpStream, behind: SocketAddr, config: Arc<ServerConfig>) -> io::Result<()> {
    let tls = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut front = StreamOwned::new(tls, stream);
    let mut message = message(&mut front)?;
    let mut back = TcpStream::connect(behind)?;
    loop {
        back.write_all(&message)?;
        front.write_all(&self::message(&mut back)?)?;
        front.flush()?;
        message = self::message(&mut front)?;
    }
}

/// The next message with its length in front.
fn message(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message)?;
    Ok([&length, message.as_slice()].concat())
}
