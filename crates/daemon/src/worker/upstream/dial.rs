//! Dialling an upstream: TCP connect and TLS handshake.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConnection;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time;

use super::endpoint::{TlsParams, UpstreamEndpoint};
use super::stream::Stream;
use super::stream_task::WriteBuffer;
use super::tls_error::HandshakeTimeout;

/// For the TLS handshake; less than the resolver allows for a dial, so that the log has the reason.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(4);

/// Opens a connection. The resolver ends the dial if connecting takes too long. For each check in
/// `checks` before the SYN is acknowledged, `unacknowledged` is called.
pub(super) async fn dial(
    endpoint: &UpstreamEndpoint,
    checks: &WriteBuffer,
    unacknowledged: impl Fn(),
) -> io::Result<Stream> {
    let mut connecting = pin!(connect(endpoint.addr, endpoint.source));
    let stream = loop {
        tokio::select! {
            connected = &mut connecting => break connected?,
            _ = checks.check_requested() => unacknowledged(),
        }
    };
    let Some(TlsParams { config, name }) = &endpoint.tls else { return Ok(Stream::plain(stream)) };
    let tls = ClientConnection::new(Arc::clone(config), name.clone()).map_err(io::Error::other)?;
    let secured = time::timeout(HANDSHAKE_TIMEOUT, Stream::tls_handshake(stream, tls)).await;
    secured.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, HandshakeTimeout))?
}

async fn connect(upstream: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    TcpSocket::from_std_stream(linux::tcp::dial_socket(upstream, source)?).connect(upstream).await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::net::Ipv4Addr;

    use super::*;
    use crate::clock;
    use crate::worker::upstream::endpoint;

    const WAIT_LIMIT: Duration = Duration::from_secs(5);

    /// With a full backlog, SYNs are dropped.
    #[tokio::test]
    async fn an_unanswered_syn_is_reported_when_asked() {
        let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let addr = listener.local_addr().unwrap().as_socket().unwrap();
        let upstream = endpoint::loopback(addr.port());
        let _waiting = time::timeout(WAIT_LIMIT, TcpStream::connect(addr)).await.unwrap().unwrap();
        let (checks, reports) = (WriteBuffer::default(), Cell::new(0));
        let dialled = dial(&upstream, &checks, || reports.set(reports.get() + 1));
        let asked = async {
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
