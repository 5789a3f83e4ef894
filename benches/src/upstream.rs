//! The upstream of the servers under test: a thread that answers misses.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::questions::{self, Question};

/// The address of names it was not told of.
pub(crate) const ADDRESS: [u8; 4] = [192, 0, 2, 1];

/// Where it listens, and how often it was asked.
pub(crate) struct Upstream {
    pub(crate) addr: SocketAddr,
    asked: Arc<AtomicU64>,
}

/// What is said to questions it was not told of.
#[derive(Clone, Copy)]
pub(crate) enum Others {
    /// Nothing: the run ends without a figure.
    Unanswered,
    /// One address, and they are not counted.
    Answered,
}

impl Upstream {
    /// Starts it; it lives as long as the process.
    pub(crate) fn start(questions: &[Question], others: Others) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let addr = socket.local_addr()?;
        let asked = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&asked);
        let answers: HashMap<Vec<u8>, Vec<u8>> =
            questions.iter().map(|question| (question.section.clone(), question.response([0, 0]))).collect();
        std::thread::Builder::new()
            .name("upstream".to_owned())
            .spawn(move || answer(&socket, (&answers, others), &count))?;
        Ok(Self { addr, asked })
    }

    /// Queries that came so far for what it was told of.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Relaxed)
    }
}

/// Answers until the process ends.
fn answer(socket: &UdpSocket, (answers, others): (&HashMap<Vec<u8>, Vec<u8>>, Others), count: &AtomicU64) {
    let mut buffer = [0; 512];
    while let Ok((len, peer)) = socket.recv_from(&mut buffer) {
        let query = buffer.get(..len).unwrap_or_default();
        let Ok(query) = wire::Query::parse(query) else { continue };
        let mut response = match (answers.get(query.header.question), others) {
            (Some(response), _) => {
                count.fetch_add(1, Relaxed);
                response.clone()
            }
            (None, Others::Answered) => questions::response(query.header.question, ADDRESS),
            (None, Others::Unanswered) => continue,
        };
        response.splice(..2, query.header.id.to_be_bytes());
        if socket.send_to(&response, peer).is_err() {
            return;
        }
    }
}
