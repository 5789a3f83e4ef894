//! TLS proxy in front of a DNS server over TCP (RFC 7858).

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Terminates TLS and forwards each message to another server, in order as CoreDNS does; runs until
/// dropped.
#[derive(Debug)]
pub struct TlsProxy {
    addr: SocketAddr,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl TlsProxy {
    /// Listens at `addr` for the server at `server`; port 0 takes a free one.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn start(addr: SocketAddr, server: SocketAddr, config: Arc<ServerConfig>) -> io::Result<Self> {
        let listener = TcpListener::bind(addr)?;
        let addr = listener.local_addr()?;
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        let thread = Builder::new().name(format!("tls {addr}")).spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let config = Arc::clone(&config);
                // Detached: the thread ends with its connection, and a failed spawn closes it.
                drop(Builder::new().spawn(move || drop(forward(stream, server, config))));
            }
        })?;
        Ok(Self { addr, stopped, thread: Some(thread) })
    }

    /// The listening address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for TlsProxy {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Unblocks `accept`.
        drop(TcpStream::connect(self.addr));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn forward(stream: TcpStream, server: SocketAddr, config: Arc<ServerConfig>) -> io::Result<()> {
    let tls = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut client = StreamOwned::new(tls, stream);
    let mut message = read_message(&mut client)?;
    let mut server = TcpStream::connect(server)?;
    loop {
        server.write_all(&message)?;
        client.write_all(&read_message(&mut server)?)?;
        client.flush()?;
        message = read_message(&mut client)?;
    }
}

/// The next message with its length prefix.
fn read_message(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message)?;
    Ok([&length, message.as_slice()].concat())
}
