//! Connected UDP sockets to upstreams (RFC 5452 section 9.2): one task reads each of them.

use std::io;
use std::rc::Rc;

use resolver::action::UpstreamConnectionId;
use tokio::net::UdpSocket;

use super::endpoint::UpstreamEndpoint;
use crate::worker::handler::ResponseHandler;

/// Above the UDP payload size of 1232 octets that we advertise.
const RECEIVE_LEN: usize = 4096;

/// Opens a socket with a random port.
pub(super) fn open(endpoint: &UpstreamEndpoint) -> io::Result<UdpSocket> {
    UdpSocket::from_std(linux::udp::connect(endpoint.addr, endpoint.source)?)
}

/// Sends a datagram. One for which the socket's buffer has no room is lost, as it may be on the
/// way.
pub(super) fn send(socket: &UdpSocket, message: &[u8]) -> io::Result<()> {
    match linux::udp::send_connected(socket, message) {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(()),
    }
}

/// Passes on whatever arrives, until the socket fails.
pub(super) async fn receive(
    id: UpstreamConnectionId,
    socket: &UdpSocket,
    handler: &Rc<impl ResponseHandler>,
) -> io::Error {
    let mut buffer = [0; RECEIVE_LEN];
    loop {
        match socket.recv(&mut buffer).await {
            Ok(len) => handler.on_response(id, buffer.get(..len).unwrap_or_default()),
            Err(error) => return error,
        }
    }
}
