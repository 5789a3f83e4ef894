//! One question over UDP: a socket of its own, so that the source port is as fresh as the ID
//! (RFC 5452 section 9.2).

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use resolver::action::AttemptId;
use tokio::net::UdpSocket;

use super::{Core, UpstreamEndpoint, failure_of};

/// Above the 1232 octets we say we take; what is longer was not meant for us.
const RECEIVE_LEN: usize = 4096;

/// Sends `message` and hands in whatever comes back, until the attempt is forgotten or the socket fails.
pub(super) async fn exchange(
    core: Rc<Core>,
    attempt: AttemptId,
    carrier: Arc<UpstreamEndpoint>,
    message: Vec<u8>,
) {
    let Err(error) = talk(&core, attempt, &carrier, &message).await;
    core.upstreams.ended(attempt);
    core.failure(attempt, failure_of(&error));
}

async fn talk(
    core: &Rc<Core>,
    attempt: AttemptId,
    carrier: &UpstreamEndpoint,
    message: &[u8],
) -> Result<std::convert::Infallible, io::Error> {
    let socket = UdpSocket::from_std(linux::udp::connect(carrier.addr, carrier.source)?)?;
    socket.send(message).await?;
    let mut buffer = [0; RECEIVE_LEN];
    loop {
        let len = socket.recv(&mut buffer).await?;
        core.response(attempt, buffer.get(..len).unwrap_or_default());
    }
}
