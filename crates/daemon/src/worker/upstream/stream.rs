//! Byte stream of an upstream connection: plain TCP, or DNS over TLS (RFC 7858).

use std::io::{self, Read, Write};
use std::time::Instant;

use rustls::ClientConnection;
use tokio::io::{Interest, Ready};
use tokio::net::TcpStream;
use wire::frame::FrameDecoder;

use super::write_history::WriteHistory;
use crate::clock;
use crate::worker::{read_buffer, turn};

pub(super) struct Stream {
    stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
    history: WriteHistory,
}

/// State of the read side.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadSide {
    Open,
    EndOfFile,
}

impl Stream {
    pub(super) fn plain(stream: TcpStream) -> Self {
        Self { stream, tls: None, history: WriteHistory::default() }
    }

    /// Performs the TLS handshake on `stream`. A certificate that is not trusted, or a peer without
    /// TLS, gives [`io::ErrorKind::InvalidData`].
    pub(super) async fn tls_handshake(stream: TcpStream, tls: ClientConnection) -> io::Result<Self> {
        let mut stream = Self { stream, tls: Some(Box::new(tls)), history: WriteHistory::default() };
        while stream.tls.as_ref().is_some_and(|tls| tls.is_handshaking()) {
            let ready = stream.ready(false).await?;
            if ready.is_writable() {
                stream.write(&mut Vec::new())?;
            }
            if ready.is_readable() && stream.read(&mut FrameDecoder::default())? == ReadSide::EndOfFile {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            // `ready` does not yield while there is something to read.
            turn::end().await;
        }
        Ok(stream)
    }

    /// Waits until the stream is readable, or writable if `writing` or TLS has records to send.
    pub(super) async fn ready(&self, writing: bool) -> io::Result<Ready> {
        let writing = writing || self.tls.as_ref().is_some_and(|tls| tls.wants_write());
        let interest = if writing { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        self.stream.ready(interest).await
    }

    /// True if octets that were written before `sent_before` are not acknowledged by the peer's host.
    pub(super) fn has_unacknowledged(&self, sent_before: Instant) -> bool {
        let unacknowledged = linux::tcp::unacknowledged_octets(&self.stream);
        // Without an answer of the kernel, nothing follows.
        unacknowledged.is_ok_and(|octets| self.history.began_before(octets, sent_before))
    }

    /// Writes as much of `unsent` as the socket takes, and removes it.
    pub(super) fn write(&mut self, unsent: &mut Vec<u8>) -> io::Result<()> {
        let mut stream = NonBlocking(&self.stream);
        let Some(tls) = &mut self.tls else {
            let written = stream.write(unsent).or_else(zero_if_would_block)?;
            unsent.drain(..written);
            self.history.add(written, clock::now());
            return Ok(());
        };
        loop {
            let taken = tls.writer().write(unsent)?;
            unsent.drain(..taken);
            if !tls.wants_write() {
                return Ok(());
            }
            let written = tls.write_tls(&mut stream).or_else(zero_if_would_block)?;
            self.history.add(written, clock::now());
            if written == 0 {
                return Ok(());
            }
        }
    }

    /// Reads what has arrived into `frames`.
    pub(super) fn read(&mut self, frames: &mut FrameDecoder) -> io::Result<ReadSide> {
        let mut stream = NonBlocking(&self.stream);
        let Some(tls) = &mut self.tls else { return Ok(read_available(&mut stream, frames)?.1) };
        match tls.read_tls(&mut stream) {
            Ok(0) => return Ok(ReadSide::EndOfFile),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(ReadSide::Open),
            read => read?,
        };
        if let Err(error) = tls.process_new_packets() {
            // Sends the TLS alert on a best-effort basis: the connection is closed in any case.
            tls.write_tls(&mut stream).ok();
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        loop {
            if let (0, read_side) = read_available(&mut tls.reader(), frames)? {
                return Ok(read_side);
            }
        }
    }
}

impl Drop for Stream {
    /// Sends close_notify before the close (RFC 8446 section 6.1), as far as the socket takes it.
    fn drop(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            tls.write_tls(&mut NonBlocking(&self.stream)).ok();
        }
    }
}

/// Reads what is available without blocking; returns the number of octets.
fn read_available(source: &mut impl Read, frames: &mut FrameDecoder) -> io::Result<(usize, ReadSide)> {
    read_buffer::with(|buffer| match source.read(buffer) {
        Ok(0) => Ok((0, ReadSide::EndOfFile)),
        Ok(len) => {
            frames.extend(buffer.get(..len).unwrap_or_default());
            Ok((len, ReadSide::Open))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok((0, ReadSide::Open)),
        Err(error) => Err(error),
    })
}

fn zero_if_would_block(error: io::Error) -> io::Result<usize> {
    match error.kind() {
        io::ErrorKind::WouldBlock => Ok(0),
        _ => Err(error),
    }
}

/// The socket as rustls expects it: `WouldBlock` instead of waiting.
struct NonBlocking<'a>(&'a TcpStream);

impl Read for NonBlocking<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for NonBlocking<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.try_write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::sync::Arc;

    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

    use super::*;

    const NAME: &str = "dns.test";

    /// A client and a server configuration that trust each other.
    fn configs() -> (ClientConfig, ServerConfig) {
        let signed = rcgen::generate_simple_self_signed(vec![NAME.to_owned()]).unwrap();
        let certificate = signed.cert.der().clone();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let provider = || Arc::new(rustls::crypto::ring::default_provider());
        let ours = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let theirs = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let theirs = theirs.unwrap().with_no_client_auth();
        let key = signed.signing_key.serialize_der().try_into().unwrap();
        (
            ours.unwrap().with_root_certificates(roots).with_no_client_auth(),
            theirs.with_single_cert(vec![certificate], key).unwrap(),
        )
    }

    /// Without close_notify, the end could be a truncation attack (RFC 8446 section 6.1).
    #[tokio::test]
    async fn close_notify_is_sent_on_close() {
        let (ours, theirs) = configs();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let upstream = listener.local_addr().unwrap();
        let served = std::thread::Builder::new().spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let tls = ServerConnection::new(Arc::new(theirs)).unwrap();
            StreamOwned::new(tls, stream).read(&mut [0; 512]).map_err(|error| error.kind())
        });
        let stream = TcpStream::connect(upstream).await.unwrap();
        let tls = ClientConnection::new(Arc::new(ours), ServerName::try_from(NAME).unwrap()).unwrap();
        let mut stream = Stream::tls_handshake(stream, tls).await.unwrap();
        stream.write(&mut Vec::new()).unwrap();
        drop(stream);
        assert_eq!(served.unwrap().join().unwrap(), Ok(0));
    }
}
