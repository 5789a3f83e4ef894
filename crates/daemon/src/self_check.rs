//! Self-check and loop detection: queries that the process sends to its own sockets.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use resolver::policy::LoopDetector;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time;
use wire::frame;
use wire::header::{Class, Flags, HEADER_LEN, Header, Rcode, RecordType};
use wire::name::Name;

use crate::clock;
use crate::worker::config::LoopDetection;

/// A healthy worker responds within microseconds.
const SELF_CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// Attempts per address at the end of a hand-over.
const SELF_CHECK_ATTEMPTS: u32 = 3;

/// Loop detection queries are sent until one gets a response, for this long.
const LOOP_DETECTION_TIMEOUT: Duration = Duration::from_secs(30);
const LOOP_QUERY_TIMEOUT: Duration = Duration::from_secs(2);
const LOOP_RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// How long a loop detection query may take to come back to us after it got its response.
const LOOP_RETURN_TIME: Duration = Duration::from_secs(2);

/// STATUS (RFC 1035 section 4.1.1): every worker responds with NOTIMP without cache or upstream,
/// and no metric counts it.
const OPCODE_STATUS: Flags = Flags(2 << 11);

/// Self-check: true when a worker responds on `address`.
pub(crate) async fn responds(address: SocketAddr) -> bool {
    matches!(time::timeout(SELF_CHECK_TIMEOUT, query_status(connectable(address))).await, Ok(Ok(())))
}

/// The first of `addresses` on which no worker responds over UDP and over TCP. Each is tried several
/// times: a query may be lost in a queue that is full. Of the wildcard addresses of both families
/// the IPv4 one is queried: loopback always has it.
pub(crate) async fn first_unanswered(addresses: &BTreeSet<SocketAddr>) -> Option<SocketAddr> {
    let has_ipv4 = |address: &SocketAddr| {
        address.is_ipv6()
            && address.ip().is_unspecified()
            && addresses.contains(&(Ipv4Addr::UNSPECIFIED, address.port()).into())
    };
    for &address in addresses.iter().filter(|address| !has_ipv4(address)) {
        let mut attempts = 0;
        while !(responds(address).await && responds_over_tcp(address).await) {
            attempts += 1;
            if attempts == SELF_CHECK_ATTEMPTS {
                return Some(address);
            }
        }
    }
    None
}

async fn responds_over_tcp(address: SocketAddr) -> bool {
    let response = time::timeout(SELF_CHECK_TIMEOUT, query_status_over_tcp(connectable(address)));
    matches!(response.await, Ok(Ok(())))
}

async fn query_status_over_tcp(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let (id, query) = status_query();
    let mut message = Vec::new();
    frame::push(&query, &mut message);
    stream.write_all(&message).await?;
    stream.read_exact(&mut message).await?;
    match message.get(frame::PREFIX_LEN..).and_then(Header::read) {
        Some(header) if header.id == id && header.flags.rcode() == Rcode::NOTIMP => Ok(()),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// The header of a query, and its ID.
fn status_query() -> (u16, [u8; HEADER_LEN]) {
    let id = rand::random();
    let query = Header { id, flags: OPCODE_STATUS, qdcount: 0, ancount: 0, nscount: 0, arcount: 0 };
    (id, query.to_bytes())
}

async fn query_status(address: SocketAddr) -> io::Result<()> {
    let socket = connected_socket(address).await?;
    let (id, query) = status_query();
    socket.send(&query).await?;
    let mut response = [0; HEADER_LEN];
    loop {
        let len = socket.recv(&mut response).await?;
        let header = response.get(..len).and_then(Header::read);
        if header.is_some_and(|header| header.id == id && header.flags.rcode() == Rcode::NOTIMP) {
            return Ok(());
        }
    }
}

/// Loop detection: sends a query for a random name, which the resolver recognizes if it returns
/// through an upstream. Ends after the first response or the timeout.
pub(crate) async fn detect_loop(detection: LoopDetection) {
    let deadline = clock::now() + LOOP_DETECTION_TIMEOUT;
    while clock::now() < deadline {
        let response = time::timeout(LOOP_QUERY_TIMEOUT, query_hinfo(&detection)).await;
        if matches!(response, Ok(Ok(()))) {
            time::sleep(LOOP_RETURN_TIME).await;
            break;
        }
        time::sleep(LOOP_RETRY_INTERVAL).await;
    }
    LoopDetector::watch(&detection.detector, None);
}

async fn query_hinfo(detection: &LoopDetection) -> io::Result<()> {
    let zone = detection.target.zone.to_string();
    let (first, second): (u64, u64) = (rand::random(), rand::random());
    let text = format!("{first}.{second}.{}", zone.trim_start_matches('.'));
    let name = Name::parse(&text).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut question = name.as_wire().to_vec();
    question.extend(RecordType::HINFO.0.to_be_bytes());
    question.extend(Class::IN.0.to_be_bytes());
    LoopDetector::watch(&detection.detector, Some(name));
    let socket = connected_socket(connectable(detection.target.address)).await?;
    let id = rand::random();
    let mut message = Vec::new();
    wire::query::OutgoingQuery::new(id, &question).write(&mut message);
    socket.send(&message).await?;
    let mut response = [0; HEADER_LEN];
    loop {
        let len = socket.recv(&mut response).await?;
        if response.get(..len).and_then(Header::read).is_some_and(|header| header.id == id) {
            return Ok(());
        }
    }
}

/// A UDP socket to `address` from any port.
pub(crate) async fn connected_socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(address).await?;
    Ok(socket)
}

/// The address itself, or loopback for the wildcard address.
pub(crate) fn connectable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
