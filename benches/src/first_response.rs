//! Time from exec to the first correct response.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, ppoll};

use crate::output::BenchError;
use crate::queries::TestQuery;
use crate::servers::Server;

/// Pause between two queries to a server that does not respond yet.
const PAUSE: Duration = Duration::from_micros(500);
const TIMEOUT: Duration = Duration::from_secs(20);

/// The time from exec to the first correct response; `None` if there is none within 20 s.
pub(crate) fn first_response(server: &Server, query: &TestQuery) -> Result<Option<Duration>, BenchError> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(server.addr)?;
    socket.set_nonblocking(true)?;
    let mut buffer = [0; 512];
    while server.started.elapsed() < TIMEOUT {
        // Fails with the ICMP message of a query before, as receive does.
        socket.send(&query.packet).ok();
        ppoll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], Some(PAUSE.into()), None)?;
        match socket.recv(&mut buffer) {
            Ok(received) if query.is_answered_by(buffer.get(..received).unwrap_or_default()) => {
                return Ok(Some(server.started.elapsed()));
            }
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => std::thread::sleep(PAUSE),
            _ => {}
        }
    }
    Ok(None)
}
