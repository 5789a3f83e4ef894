//! The upstream of the servers under test: a thread that answers over UDP.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use nix::sys::socket::{setsockopt, sockopt};

use crate::queries::{self, TestQuery};

/// Octets of the receive queue.
const RECEIVE_QUEUE: usize = 2 << 20;

/// The address of unknown names.
pub(crate) const ADDRESS: [u8; 4] = [192, 0, 2, 1];

/// The upstream's address and query counter.
pub(crate) struct Upstream {
    pub(crate) addr: SocketAddr,
    queries: Arc<AtomicU64>,
}

/// What happens to queries for unknown names.
#[derive(Clone, Copy)]
pub(crate) enum UnknownNames {
    /// No response: the run fails.
    Ignored,
    /// One address; not counted.
    Answered,
}

impl Upstream {
    /// Starts the thread, which runs until the process ends.
    pub(crate) fn start(known: &[TestQuery], unknown: UnknownNames) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        // For a few milliseconds without the core; without the privilege the default must do.
        setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_QUEUE).ok();
        let addr = socket.local_addr()?;
        let count = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&count);
        let responses: HashMap<Vec<u8>, Vec<u8>> =
            known.iter().map(|query| (query.question.clone(), query.response([0, 0]))).collect();
        std::thread::Builder::new()
            .name("upstream".to_owned())
            .spawn(move || answer(&socket, (&responses, unknown), &counter))?;
        Ok(Self { addr, queries: count })
    }

    /// Queries for known names so far.
    pub(crate) fn query_count(&self) -> u64 {
        self.queries.load(Relaxed)
    }
}

/// Answers until the process ends.
fn answer(
    socket: &UdpSocket,
    (responses, unknown): (&HashMap<Vec<u8>, Vec<u8>>, UnknownNames),
    count: &AtomicU64,
) {
    let mut buffer = [0; 512];
    while let Ok((len, peer)) = socket.recv_from(&mut buffer) {
        let query = buffer.get(..len).unwrap_or_default();
        let mut buffer = wire::name::NameBuffer::new();
        let Ok(query) = wire::Query::parse(query, &mut buffer) else { continue };
        let mut response = match (responses.get(query.header.question), unknown) {
            (Some(response), _) => {
                count.fetch_add(1, Relaxed);
                response.clone()
            }
            (None, UnknownNames::Answered) => queries::response(query.header.question, ADDRESS),
            (None, UnknownNames::Ignored) => continue,
        };
        response.splice(..2, query.header.id.to_be_bytes());
        if socket.send_to(&response, peer).is_err() {
            return;
        }
    }
}
