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

/// Opens a connection before `deadline`.
pub(super) async fn dial(endpoint: &UpstreamEndpoint, deadline: Instant) -> io::Result<Stream> {
    let opened = time::timeout_at(deadline.into(), open(endpoint)).await;
    opened.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

async fn open(endpoint: &UpstreamEndpoint) -> io::Result<Stream> {
    let stream = connect(endpoint.addr, endpoint.source).await?;
    let Some(TlsParams { config, name }) = &endpoint.tls else { return Ok(Stream::plain(stream)) };
    let tls = ClientConnection::new(Arc::clone(config), name.clone()).map_err(io::Error::other)?;
    Stream::tls_handshake(stream, tls).await
}

async fn connect(upstream: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    TcpSocket::from_std_stream(linux::tcp::dial_socket(upstream, source)?).connect(upstream).await
}
