//! A connection to an upstream is opened: dialled, and with TLS proved.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time;

use super::UpstreamEndpoint;
use super::stream::Line;

/// How an upstream is spoken to in private.
#[derive(Clone, Debug)]
pub(crate) struct TlsParams {
    /// Whom we believe and who we are.
    pub(crate) config: Arc<ClientConfig>,
    /// Who the upstream has to be.
    pub(crate) name: ServerName<'static>,
}

/// Opens a connection before `until`.
pub(super) async fn dial(carrier: &UpstreamEndpoint, until: Instant) -> io::Result<Line> {
    let opened = time::timeout_at(until.into(), open(carrier)).await;
    opened.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

async fn open(carrier: &UpstreamEndpoint) -> io::Result<Line> {
    let stream = connect(carrier.addr, carrier.source).await?;
    let Some(TlsParams { config, name }) = &carrier.tls else { return Ok(Line::plain(stream)) };
    let tls = ClientConnection::new(Arc::clone(config), name.clone()).map_err(io::Error::other)?;
    Line::encrypted(stream, tls).await
}

async fn connect(upstream: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    TcpSocket::from_std_stream(linux::tcp::dial_socket(upstream, source)?).connect(upstream).await
}
