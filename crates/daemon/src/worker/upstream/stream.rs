//! The octets of a connection: plain, or through TLS (RFC 7858).

use std::io::{self, Read, Write};

use rustls::ClientConnection;
use tokio::io::{Interest, Ready};
use tokio::net::TcpStream;
use wire::frame::FrameDecoder;

const READ_LEN: usize = 16 * 1024;

/// An open stream to an upstream.
pub(super) struct Line {
    stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

/// Whether more can come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// It can.
    Open,
    /// The upstream has said its last.
    Last,
}

impl Line {
    pub(super) fn plain(stream: TcpStream) -> Self {
        Self { stream, tls: None }
    }

    /// Over `stream`, once both sides agree on keys and the upstream has proved who it is. An upstream that is not
    /// believed, or speaks no TLS, is invalid data.
    pub(super) async fn encrypted(stream: TcpStream, tls: ClientConnection) -> io::Result<Self> {
        let mut line = Self { stream, tls: Some(Box::new(tls)) };
        while line.tls.as_ref().is_some_and(|tls| tls.is_handshaking()) {
            let ready = line.ready(false).await?;
            if ready.is_writable() {
                line.write(&mut Vec::new())?;
            }
            if ready.is_readable() && line.read(&mut FrameDecoder::default())? == Heard::Last {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            // Readiness never waits while there is something to read.
            tokio::task::yield_now().await;
        }
        Ok(line)
    }

    /// Waits until something can be read, or written if `writing` or TLS has something to say itself.
    pub(super) async fn ready(&self, writing: bool) -> io::Result<Ready> {
        let writing = writing || self.tls.as_ref().is_some_and(|tls| tls.wants_write());
        let interest = if writing { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        self.stream.ready(interest).await
    }

    /// Writes as much of `unsent` as goes, and takes it off.
    pub(super) fn write(&mut self, unsent: &mut Vec<u8>) -> io::Result<()> {
        let mut stream = Unblocked(&self.stream);
        let Some(tls) = &mut self.tls else {
            let written = stream.write(unsent).or_else(nothing_yet)?;
            unsent.drain(..written);
            return Ok(());
        };
        loop {
            let taken = tls.writer().write(unsent)?;
            unsent.drain(..taken);
            if !tls.wants_write() || tls.write_tls(&mut stream).or_else(nothing_yet)? == 0 {
                return Ok(());
            }
        }
    }

    /// Reads what has come into `frames`.
    pub(super) fn read(&mut self, frames: &mut FrameDecoder) -> io::Result<Heard> {
        let mut buffer = [0; READ_LEN];
        let mut stream = Unblocked(&self.stream);
        let Some(tls) = &mut self.tls else { return Ok(take(&mut stream, &mut buffer, frames)?.1) };
        match tls.read_tls(&mut stream) {
            Ok(0) => return Ok(Heard::Last),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Heard::Open),
            read => read?,
        };
        if let Err(error) = tls.process_new_packets() {
            // The upstream is told why, if it can be; the error is what counts.
            drop(tls.write_tls(&mut stream));
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        loop {
            if let (0, heard) = take(&mut tls.reader(), &mut buffer, frames)? {
                return Ok(heard);
            }
        }
    }
}

impl Drop for Line {
    /// With TLS the end is told before the stream is closed (RFC 8446 section 6.1), as far as the kernel takes it.
    fn drop(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            drop(tls.write_tls(&mut Unblocked(&self.stream)));
        }
    }
}

/// Takes what can be read at once, and says how much it was.
fn take(source: &mut impl Read, buffer: &mut [u8], frames: &mut FrameDecoder) -> io::Result<(usize, Heard)> {
    match source.read(buffer) {
        Ok(0) => Ok((0, Heard::Last)),
        Ok(len) => {
            frames.extend(buffer.get(..len).unwrap_or_default());
            Ok((len, Heard::Open))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok((0, Heard::Open)),
        Err(error) => Err(error),
    }
}

fn nothing_yet(error: io::Error) -> io::Result<usize> {
    match error.kind() {
        io::ErrorKind::WouldBlock => Ok(0),
        _ => Err(error),
    }
}

/// A stream as TLS wants it: it says so when it would have to wait.
struct Unblocked<'a>(&'a TcpStream);

impl Read for Unblocked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for Unblocked<'_> {
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

    /// What both sides need to believe each other.
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

    /// An end that could be anybody's doing is none (RFC 8446 section 6.1).
    #[tokio::test]
    async fn the_upstream_is_told_of_the_end() {
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
        let mut line = Line::encrypted(stream, tls).await.unwrap();
        line.write(&mut Vec::new()).unwrap();
        drop(line);
        assert_eq!(served.unwrap().join().unwrap(), Ok(0));
    }
}
