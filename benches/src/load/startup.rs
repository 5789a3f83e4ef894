//! Time from exec to the first correct response, and the size of the binary.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, ppoll};

use super::configs::Transport;
use super::metrics::{FIRST_RESPONSE, SIZE};
use super::options::LoadOptions;
use super::peers::Peer;
use super::records::Records;
use super::testbed::{Instance, Testbed};
use crate::figures::count;
use crate::output::BenchError;
use crate::queries::TestQuery;
use crate::upstream::ADDRESS;

/// Pause between two queries to a server that does not respond yet.
const PAUSE: Duration = Duration::from_micros(500);
const TIMEOUT: Duration = Duration::from_secs(20);

pub(super) fn measure(
    peers: &[Peer],
    options: &LoadOptions,
    testbed: &Testbed,
    records: &mut Records,
) -> Result<(), BenchError> {
    let query = TestQuery::named("first.example", ADDRESS, false)?;
    for round in 0..=options.rounds {
        for peer in peers.iter().filter(|peer| !peer.is_floor()) {
            let Some(instance) = testbed.spawn(peer, Transport::Udp)? else { continue };
            match first_response(&instance, &query)? {
                Some(time) if round > 0 => {
                    records.add(peer.name(), FIRST_RESPONSE, time.as_secs_f64() * 1e3);
                }
                Some(_) => {}
                None => records.fail(peer.name(), "no first response".to_owned()),
            }
        }
    }
    for peer in peers {
        if let Some(size) = peer.size() {
            records.add(peer.name(), SIZE, count(size) / 1e6);
        }
    }
    Ok(())
}

/// The time from exec to the first correct response.
fn first_response(
    Instance { server, .. }: &Instance,
    query: &TestQuery,
) -> Result<Option<Duration>, BenchError> {
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
