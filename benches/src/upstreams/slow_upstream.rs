//! An upstream over UDP that responds after a constant time.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, Builder};
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};

use crate::figures::now;
use crate::output::BenchError;
use crate::queries;
use crate::upstream::ADDRESS;

/// Octets of queries that wait to be read: several seconds of them.
const RECEIVE_BUFFER: usize = 16 << 20;

/// A response and when it is due.
struct Response {
    due: Instant,
    peer: SocketAddr,
    packet: Vec<u8>,
}

/// Starts the upstream, which runs until the process ends, and returns its address.
pub(super) fn start(ip: IpAddr, delay: Duration) -> Result<SocketAddr, BenchError> {
    let socket = UdpSocket::bind((ip, 0))?;
    // Without the buffer it would lose queries while its thread waits for a core.
    setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)?;
    let addr = socket.local_addr()?;
    let receiving = socket.try_clone()?;
    let (to_send, responses) = channel();
    Builder::new().name("upstream".to_owned()).spawn(move || receive(&receiving, delay, &to_send))?;
    Builder::new().name("upstream responses".to_owned()).spawn(move || send(&socket, &responses))?;
    Ok(addr)
}

fn receive(socket: &UdpSocket, delay: Duration, responses: &Sender<Response>) {
    let mut buffer = [0; 512];
    loop {
        // An error is an ICMP message about an earlier response.
        let Ok((length, peer)) = socket.recv_from(&mut buffer) else { continue };
        let due = now() + delay;
        let mut name = wire::name::NameBuffer::new();
        let Ok(query) = wire::Query::parse(buffer.get(..length).unwrap_or_default(), &mut name) else {
            continue;
        };
        let mut packet = queries::response(query.header.question, ADDRESS);
        packet.splice(..2, query.header.id.to_be_bytes());
        if responses.send(Response { due, peer, packet }).is_err() {
            return;
        }
    }
}

fn send(socket: &UdpSocket, responses: &Receiver<Response>) {
    for response in responses {
        thread::sleep(response.due.saturating_duration_since(now()));
        // An error is an ICMP message about an earlier response.
        socket.send_to(&response.packet, response.peer).ok();
    }
}
