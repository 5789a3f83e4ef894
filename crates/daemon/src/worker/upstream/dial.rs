//! Dialling an upstream: TCP connect and TLS handshake.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConnection;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time;

use super::endpoint::{TlsParams, UpstreamEndpoint};
use super::stream::Stream;
use super::tls_error::HandshakeTimeout;

/// For the TLS handshake; less than the resolver allows for a dial, so that the log has the reason.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(4);

/// Opens a connection. The resolver ends the dial if connecting takes too long.
pub(super) async fn dial(endpoint: &UpstreamEndpoint) -> io::Result<Stream> {
    let stream = connect(endpoint.addr, endpoint.source).await?;
    let Some(TlsParams { config, name }) = &endpoint.tls else { return Ok(Stream::plain(stream)) };
    let tls = ClientConnection::new(Arc::clone(config), name.clone()).map_err(io::Error::other)?;
    let secured = time::timeout(HANDSHAKE_TIMEOUT, Stream::tls_handshake(stream, tls)).await;
    secured.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, HandshakeTimeout))?
}

async fn connect(upstream: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    TcpSocket::from_std_stream(linux::tcp::dial_socket(upstream, source)?).connect(upstream).await
}
