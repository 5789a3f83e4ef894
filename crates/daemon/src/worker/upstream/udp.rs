//! Connected UDP sockets to upstreams (RFC 5452 section 9.2): one task reads each of them.

use std::io;
use std::rc::Rc;

use resolver::action::UpstreamConnectionId;
use tokio::net::UdpSocket;

use super::endpoint::UpstreamEndpoint;
use crate::worker::handler::ResponseHandler;
use crate::worker::turn;

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

/// Passes on whatever arrives, a share of it per turn, until the socket fails.
pub(super) async fn receive(
    id: UpstreamConnectionId,
    socket: &UdpSocket,
    handler: &Rc<impl ResponseHandler>,
) -> io::Error {
    let mut buffer = [0; RECEIVE_LEN];
    let mut received = 0;
    loop {
        if received >= turn::SHARE {
            turn::end().await;
            received = 0;
        }
        received += 1;
        match socket.recv(&mut buffer).await {
            Ok(len) => handler.on_response(id, buffer.get(..len).unwrap_or_default()),
            Err(error) => return error,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use resolver::action::AttemptFailure;
    use resolver::policy::UpstreamId;
    use tokio::task::LocalSet;
    use wire::frame::FrameDecoder;

    use super::*;
    use crate::worker::turn::most_per_turn;

    /// Counts responses.
    #[derive(Default)]
    struct Recorder(Cell<usize>);

    impl ResponseHandler for Recorder {
        fn on_connected(self: &Rc<Self>, _: UpstreamConnectionId) {}

        fn on_response(self: &Rc<Self>, _: UpstreamConnectionId, _: &[u8]) {
            self.0.set(self.0.get() + 1);
        }

        fn on_responses(self: &Rc<Self>, _: UpstreamConnectionId, _: &mut FrameDecoder) {}

        fn on_unacknowledged(self: &Rc<Self>, _: UpstreamConnectionId) {}

        fn on_disconnected(self: &Rc<Self>, _: UpstreamConnectionId, _: AttemptFailure) {}
    }

    #[tokio::test]
    async fn an_upstream_has_a_share_of_each_turn() {
        // As many as the kernel's default queue holds.
        const RESPONSES: usize = 200;
        let responding = async {
            let upstream = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            let socket = linux::udp::connect(upstream.local_addr().unwrap(), None).unwrap();
            for _ in 0..RESPONSES {
                upstream.send_to(&[0; 17], socket.local_addr().unwrap()).unwrap();
            }
            let (socket, recorder) = (UdpSocket::from_std(socket).unwrap(), Rc::<Recorder>::default());
            let handler = Rc::clone(&recorder);
            tokio::task::spawn_local(async move {
                receive(UpstreamConnectionId { upstream: UpstreamId(0), number: 1 }, &socket, &handler).await
            });
            most_per_turn(RESPONSES, || recorder.0.get()).await
        };
        assert_eq!(LocalSet::new().run_until(responding).await, turn::SHARE);
    }
}
