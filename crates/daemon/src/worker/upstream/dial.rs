//! Dialling an upstream: TCP connect and TLS handshake.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConnection;
use tokio::net::TcpStream;
use tokio::time;

use super::endpoint::{TlsParams, UpstreamEndpoint};
use super::stream::Stream;
use super::stream_task::WriteBuffer;
use super::tls_error::HandshakeTimeout;
use crate::clock;

/// For the TLS handshake; less than the resolver allows for a dial, so that the log has the reason.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(4);

/// Opens a connection. The resolver ends the dial if connecting takes too long. `unacknowledged` is
/// called for each of `checks` that finds the SYN sent in time and not acknowledged.
pub(super) async fn dial(
    endpoint: &UpstreamEndpoint,
    checks: &WriteBuffer,
    unacknowledged: impl Fn(),
) -> io::Result<Stream> {
    let sent = clock::now();
    let stream = TcpStream::from_std(linux::tcp::dial(endpoint.addr, endpoint.source)?)?;
    loop {
        tokio::select! {
            ready = stream.writable() => break ready?,
            sent_before = checks.check_requested() => {
                // Its acknowledgment may have arrived while the worker was busy.
                if sent <= sent_before && linux::tcp::is_connecting(&stream)? {
                    unacknowledged();
                }
            }
        }
    }
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    let Some(TlsParams { config, name }) = &endpoint.tls else { return Ok(Stream::plain(stream)) };
    let tls = ClientConnection::new(Arc::clone(config), name.clone()).map_err(io::Error::other)?;
    let secured = time::timeout(HANDSHAKE_TIMEOUT, Stream::tls_handshake(stream, tls)).await;
    secured.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, HandshakeTimeout))?
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::{Future, poll_fn};
    use std::net::{Ipv4Addr, SocketAddr};
    use std::pin::pin;
    use std::task::Poll;

    use super::*;
    use crate::worker::upstream::endpoint;

    const WAIT_LIMIT: Duration = Duration::from_secs(5);

    /// A listener with that backlog, and its endpoint.
    fn listen(backlog: i32) -> (socket2::Socket, Arc<UpstreamEndpoint>) {
        let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        listener.listen(backlog).unwrap();
        let port = listener.local_addr().unwrap().as_socket().unwrap().port();
        (listener, endpoint::loopback(port))
    }

    /// The acknowledgment has arrived, but the dial has not been polled since.
    #[tokio::test]
    async fn an_acknowledged_syn_is_not_reported() {
        let (_listener, upstream) = listen(16);
        for _ in 0..16 {
            let (checks, reports) = (WriteBuffer::default(), Cell::new(0));
            let mut dialled = pin!(dial(&upstream, &checks, || reports.set(reports.get() + 1)));
            assert!(poll_fn(|context| Poll::Ready(dialled.as_mut().poll(context).is_pending())).await);
            checks.check_acknowledged(clock::now());
            time::timeout(WAIT_LIMIT, dialled).await.unwrap().unwrap();
            assert_eq!(reports.get(), 0);
        }
    }

    #[tokio::test]
    async fn a_refused_connection_is_an_error() {
        let (listener, upstream) = listen(1);
        drop(listener);
        let dialled = dial(&upstream, &WriteBuffer::default(), || panic!("refused")).await;
        assert_eq!(dialled.err().unwrap().kind(), io::ErrorKind::ConnectionRefused);
    }

    /// With a full backlog, SYNs are dropped.
    #[tokio::test]
    async fn an_unanswered_syn_is_reported_when_asked() {
        let (_listener, upstream) = listen(0);
        let addr = upstream.addr;
        let _waiting = time::timeout(WAIT_LIMIT, TcpStream::connect(addr)).await.unwrap().unwrap();
        let (checks, reports) = (WriteBuffer::default(), Cell::new(0));
        let earlier = clock::now();
        let dialled = dial(&upstream, &checks, || reports.set(reports.get() + 1));
        let asked = async {
            tokio::task::yield_now().await;
            checks.check_acknowledged(earlier);
            tokio::task::yield_now().await;
            assert_eq!(reports.get(), 0, "a check of earlier octets");
            while reports.get() < 2 {
                checks.check_acknowledged(clock::now());
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            dialled = dialled => panic!("{:?}", dialled.err()),
            asked = time::timeout(WAIT_LIMIT, asked) => asked.unwrap(),
        }
    }
}
