//! Upstream queries over UDP: one connected socket per query, so that the source port is as
//! unpredictable as the ID (RFC 5452 section 9.2).

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use resolver::action::AttemptId;
use tokio::net::UdpSocket;

use super::attempt_handler::AttemptHandler;
use super::endpoint::UpstreamEndpoint;
use super::socket_error::attempt_failure;

/// Above the UDP payload size of 1232 octets that we advertise.
const RECEIVE_LEN: usize = 4096;

/// Sends `message` and passes on whatever arrives, until the attempt is cancelled or the socket
/// fails.
pub(super) async fn exchange(
    handler: impl AttemptHandler,
    attempt: AttemptId,
    endpoint: Arc<UpstreamEndpoint>,
    message: Vec<u8>,
) {
    let Err(error) = send_and_receive(&handler, attempt, &endpoint, &message).await;
    handler.on_failure(attempt, attempt_failure(&error));
}

async fn send_and_receive(
    handler: &impl AttemptHandler,
    attempt: AttemptId,
    endpoint: &UpstreamEndpoint,
    message: &[u8],
) -> Result<Infallible, io::Error> {
    let socket = UdpSocket::from_std(linux::udp::connect(endpoint.addr, endpoint.source)?)?;
    socket.send(message).await?;
    let mut buffer = [0; RECEIVE_LEN];
    loop {
        let len = socket.recv(&mut buffer).await?;
        handler.on_message(attempt, buffer.get(..len).unwrap_or_default());
    }
}
