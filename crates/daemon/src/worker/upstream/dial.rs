//! Dialling an upstream: TCP connect and TLS handshake.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use rustls::ClientConnection;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time;

use super::endpoint::{TlsParams, UpstreamEndpoint};
use super::stream::Stream;
use super::tls_error::HandshakeTimeout;

/// Opens a connection before `deadline`.
pub(super) async fn dial(endpoint: &UpstreamEndpoint, deadline: Instant) -> io::Result<Stream> {
    let connected = time::timeout_at(deadline.into(), connect(endpoint.addr, endpoint.source)).await;
    let stream = connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let Some(TlsParams { config, name }) = &endpoint.tls else { return Ok(Stream::plain(stream)) };
    let tls = ClientConnection::new(Arc::clone(config), name.clone()).map_err(io::Error::other)?;
    let secured = time::timeout_at(deadline.into(), Stream::tls_handshake(stream, tls)).await;
    secured.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, HandshakeTimeout))?
}

async fn connect(upstream: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    TcpSocket::from_std_stream(linux::tcp::dial_socket(upstream, source)?).connect(upstream).await
}
