//! Questions the process asks itself through its own sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use resolver::policy::LoopDetector;
use tokio::net::UdpSocket;
use tokio::time;
use wire::header::{Class, Flags, HEADER_LEN, Header, Rcode, RecordType};
use wire::name::Name;

use crate::clock;
use crate::worker::config::LoopDetection;

/// How long a worker may take to answer itself; a healthy one takes microseconds.
const SELF_TIME: Duration = Duration::from_secs(1);

/// Tries of a loop check, one after another, until one is answered.
const LOOP_TIME: Duration = Duration::from_secs(30);
const LOOP_TRY: Duration = Duration::from_secs(2);
const LOOP_PAUSE: Duration = Duration::from_secs(1);
/// How long a question may take to come around after the exchange.
const LOOP_AFTERMATH: Duration = Duration::from_secs(2);

/// STATUS (RFC 1035 section 4.1.1): every worker refuses it by itself, no upstream and no cache is involved, and
/// no metric counts it.
const OPCODE_STATUS: Flags = Flags(2 << 11);

/// True when a worker answers on `address`.
pub(crate) async fn responds(address: SocketAddr) -> bool {
    matches!(time::timeout(SELF_TIME, ask_status(reachable(address))).await, Ok(Ok(())))
}

async fn ask_status(address: SocketAddr) -> io::Result<()> {
    let socket = socket_towards(address).await?;
    let id = rand::random();
    let none = Header { id, flags: OPCODE_STATUS, qdcount: 0, ancount: 0, nscount: 0, arcount: 0 };
    socket.send(&none.to_bytes()).await?;
    let mut reply = [0; HEADER_LEN];
    loop {
        let len = socket.recv(&mut reply).await?;
        let header = reply.get(..len).and_then(Header::read);
        if header.is_some_and(|header| header.id == id && header.flags.rcode() == Rcode::NOTIMP) {
            return Ok(());
        }
    }
}

/// Sends a question of our own with a name that nobody else asks for, so that the resolver can tell when it comes
/// back, and ends the check when an exchange went well or half a minute has passed.
pub(crate) async fn detect_loop(detection: LoopDetection) {
    let give_up = clock::now() + LOOP_TIME;
    while clock::now() < give_up {
        let tried = time::timeout(LOOP_TRY, ask_hinfo(&detection)).await;
        if matches!(tried, Ok(Ok(()))) {
            time::sleep(LOOP_AFTERMATH).await;
            break;
        }
        time::sleep(LOOP_PAUSE).await;
    }
    LoopDetector::watch(&detection.detector, None);
}

async fn ask_hinfo(detection: &LoopDetection) -> io::Result<()> {
    let zone = detection.target.zone.to_string();
    let (first, second): (u64, u64) = (rand::random(), rand::random());
    let text = format!("{first}.{second}.{}", zone.trim_start_matches('.'));
    let name = Name::parse(&text).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut question = name.as_wire().to_vec();
    question.extend(RecordType::HINFO.0.to_be_bytes());
    question.extend(Class::IN.0.to_be_bytes());
    LoopDetector::watch(&detection.detector, Some(name));
    let socket = socket_towards(reachable(detection.target.address)).await?;
    let id = rand::random();
    let mut message = Vec::new();
    let query = wire::query::OutgoingQuery {
        id,
        question: &question,
        recursion_desired: true,
        checking_disabled: false,
        edns: true,
        dnssec_ok: false,
        udp_size: wire::edns::DEFAULT_UDP_SIZE,
    };
    query.write(&mut message);
    socket.send(&message).await?;
    let mut reply = [0; HEADER_LEN];
    loop {
        let len = socket.recv(&mut reply).await?;
        if reply.get(..len).and_then(Header::read).is_some_and(|header| header.id == id) {
            return Ok(());
        }
    }
}

async fn socket_towards(address: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(address).await?;
    Ok(socket)
}

/// The address itself, or for "every address" one that is always there.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
