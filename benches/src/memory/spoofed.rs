//! Queries for new names at a constant rate, each from another source address, as a spoofer sends
//! them. Responses are not read.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use linux::udp::{BATCH_SIZE, UdpListener};

use crate::figures::now;
use crate::output::BenchError;
use crate::queries::TestQuery;

/// The first source address; all of 127.0.0.0/8 is local.
const FIRST_SOURCE: u32 = 0x7f40_0000;
/// Source addresses, used in turn.
const SOURCES: u32 = 1 << 20;

/// Digits of a name's number.
const DIGITS: usize = 8;
/// Octets before them in a query: the header and the label's length.
const DIGITS_AT: usize = 13;

/// A running flood.
pub(super) struct Flood {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<u64>>,
}

impl Flood {
    /// Sends `rate` queries per second to `server` from a thread of its own. The names are
    /// subdomains of `domain`.
    pub(super) fn start(server: SocketAddr, rate: u32, domain: &str) -> Result<Self, BenchError> {
        let socket = UdpListener::bind((Ipv4Addr::UNSPECIFIED, 0).into())?;
        let name = format!("{:0DIGITS$}.{domain}", 0);
        let query = TestQuery::named(&name, [0; 4], false)?.packet;
        let stop = Arc::new(AtomicBool::new(false));
        let sender = Sender { socket, server, rate, query, stop: Arc::clone(&stop) };
        let thread = std::thread::Builder::new().name("flood".to_owned()).spawn(move || sender.run())?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Ends it; returns the number of queries that were sent.
    pub(super) fn stop(&mut self) -> Result<u64, BenchError> {
        self.stop.store(true, Relaxed);
        let joined = self.thread.take().map(JoinHandle::join);
        joined.and_then(Result::ok).ok_or_else(|| BenchError("the flood has failed".to_owned()))
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

struct Sender {
    socket: UdpListener,
    server: SocketAddr,
    rate: u32,
    query: Vec<u8>,
    stop: Arc<AtomicBool>,
}

impl Sender {
    fn run(&self) -> u64 {
        let interval = Duration::from_secs(u64::try_from(BATCH_SIZE).unwrap_or(1)) / self.rate.max(1);
        let mut packets = vec![self.query.clone(); BATCH_SIZE];
        let (mut number, mut sent, mut due) = (0_u32, 0, now());
        while !self.stop.load(Relaxed) {
            let first = number;
            for packet in &mut packets {
                write_number(packet, number);
                number = number.wrapping_add(1);
            }
            let sources = (first..).map(|number| {
                IpAddr::V4(Ipv4Addr::from_bits(FIRST_SOURCE + number.wrapping_mul(2_654_435_761) % SOURCES))
            });
            let batch = packets.iter().zip(sources);
            let outcome = self.socket.send(batch.map(|(packet, from)| (&**packet, self.server, Some(from))));
            sent += u64::try_from(outcome.sent).unwrap_or(0);
            due += interval;
            // After a delay the rate is kept up by a burst, but not of more than a tenth of a second.
            due = due.max(now().checked_sub(Duration::from_millis(100)).unwrap_or(due));
            std::thread::sleep(due.saturating_duration_since(now()));
        }
        sent
    }
}

/// Sets the ID and the name of a query.
fn write_number(packet: &mut [u8], number: u32) {
    let [_, _, high, low] = number.to_be_bytes();
    if let Some(id) = packet.first_chunk_mut() {
        *id = [high, low];
    }
    let digits = format!("{number:0DIGITS$x}");
    if let Some(label) = packet.get_mut(DIGITS_AT..DIGITS_AT + DIGITS) {
        label.copy_from_slice(digits.as_bytes());
    }
}
