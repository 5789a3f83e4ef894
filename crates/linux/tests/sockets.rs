//! UDP and TCP sockets on the loopback link.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use linux::udp::{BATCH_SIZE, BUFFER_SIZE, RecvBatch, UdpListener};
use linux::{check_local_address, raise_descriptor_limit, tcp};
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const TIMEOUT: Duration = Duration::from_secs(10);

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Waits for the next batch and returns its number of datagrams.
async fn receive(listener: &UdpListener, batch: &mut RecvBatch) -> usize {
    let readiness = listener.readiness().unwrap();
    let next = readiness.receive(listener, batch);
    timeout(TIMEOUT, next).await.expect("a datagram arrives").unwrap()
}

/// Sends 100 numbered datagrams to `to`, echoes them, and returns the source addresses of the
/// echoes.
async fn echo_a_hundred(bound: &str, to: &str) -> Vec<IpAddr> {
    let listener = UdpListener::bind(addr(bound)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = UdpSocket::bind((to.parse::<IpAddr>().unwrap(), 0)).unwrap();
    client.set_read_timeout(Some(TIMEOUT)).unwrap();
    for number in 0..100_u8 {
        client.send_to(&[number; 40], (to.parse::<IpAddr>().unwrap(), port)).unwrap();
    }
    let mut batch = RecvBatch::new();
    let (mut echoed, mut largest) = (0, 0);
    while echoed < 100 {
        let count = receive(&listener, &mut batch).await;
        assert_eq!(batch.iter().count(), count);
        largest = largest.max(count);
        let replies = batch.iter().map(|(octets, source)| (octets, source.peer, source.local));
        let sent = listener.send(replies);
        assert_eq!((sent.sent, sent.refused, sent.dropped), (count, 0, 0), "{sent:?}");
        echoed += count;
    }
    assert_eq!(largest, BATCH_SIZE, "all were queued before the first call");
    let mut buffer = [0; 100];
    (0..100_u8)
        .map(|number| {
            let (length, from) = client.recv_from(&mut buffer).unwrap();
            assert_eq!(buffer[..length], [number; 40]);
            assert_eq!(from.port(), port);
            from.ip()
        })
        .collect()
}

#[tokio::test(flavor = "current_thread")]
async fn a_hundred_datagrams_are_echoed_in_order() {
    for local in ["127.0.0.1", "::1"] {
        let bound = SocketAddr::new(local.parse().unwrap(), 0).to_string();
        let sources = echo_a_hundred(&bound, local).await;
        assert!(sources.iter().all(|source| *source == local.parse::<IpAddr>().unwrap()));
    }
}

#[tokio::test(flavor = "current_thread")]
async fn replies_of_a_wildcard_socket_use_the_destination_address_as_source() {
    // The kernel's own choice of the source address is 127.0.0.1.
    let destination = "127.9.8.7";
    let sources = echo_a_hundred("0.0.0.0:0", destination).await;
    assert!(sources.iter().all(|source| *source == destination.parse::<IpAddr>().unwrap()), "{sources:?}");
    let sources = echo_a_hundred("[::]:0", "::1").await;
    assert!(sources.iter().all(|source| *source == "::1".parse::<IpAddr>().unwrap()), "{sources:?}");
}

#[tokio::test(flavor = "current_thread")]
async fn only_wildcard_sockets_report_the_destination_address() {
    for (bound, destination, local) in [
        ("127.0.0.1:0", "127.0.0.1", None),
        ("0.0.0.0:0", "127.0.0.53", Some("127.0.0.53")),
        ("[::1]:0", "::1", None),
        ("[::]:0", "::1", Some("::1")),
    ] {
        let listener = UdpListener::bind(addr(bound)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let destination: IpAddr = destination.parse().unwrap();
        let client = UdpSocket::bind((destination, 0)).unwrap();
        client.send_to(b"q", (destination, port)).unwrap();
        let mut batch = RecvBatch::new();
        assert_eq!(receive(&listener, &mut batch).await, 1);
        let (octets, source) = batch.iter().next().unwrap();
        assert_eq!(octets, b"q");
        assert_eq!(source.peer, client.local_addr().unwrap());
        assert_eq!(source.local, local.map(|local| local.parse().unwrap()));
        assert!(!source.truncated);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_datagram_longer_than_the_buffer_is_marked_as_truncated() {
    let listener = UdpListener::bind(addr("127.0.0.1:0")).unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    for length in [BUFFER_SIZE + 1, BUFFER_SIZE, 0, 12] {
        client.send_to(&vec![7; length], listener.local_addr().unwrap()).unwrap();
    }
    let mut batch = RecvBatch::new();
    assert_eq!(receive(&listener, &mut batch).await, 4);
    let seen: Vec<_> = batch.iter().map(|(octets, source)| (octets.len(), source.truncated)).collect();
    assert_eq!(seen, [(BUFFER_SIZE, true), (BUFFER_SIZE, false), (0, false), (12, false)]);
}

#[tokio::test(flavor = "current_thread")]
async fn a_refused_datagram_does_not_stop_the_rest() {
    let listener = UdpListener::bind(addr("127.0.0.1:0")).unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(TIMEOUT)).unwrap();
    let good = client.local_addr().unwrap();
    // Port 0 is invalid, and an IPv4 socket cannot send to an IPv6 peer.
    let bad = [addr("127.0.0.1:0"), addr("[::1]:53")];
    let peers: Vec<SocketAddr> = (0..70)
        .map(|number| match number {
            0 | 31 | 69 => bad[0],
            32 => bad[1],
            _ => good,
        })
        .collect();
    let sent = listener.send(peers.iter().map(|peer| (&b"answer"[..], *peer, None)));
    assert_eq!((sent.sent, sent.refused, sent.dropped), (66, 4, 0), "{sent:?}");
    assert!(sent.last_error.is_some());
    let mut buffer = [0; 16];
    for _ in 0..66 {
        assert_eq!(client.recv(&mut buffer).unwrap(), 6);
    }
}

/// A batch that is not full ends the wait for more without another system call.
#[tokio::test(flavor = "current_thread")]
async fn no_datagram_is_missed_that_arrives_while_a_batch_is_received() {
    const DATAGRAMS: usize = 20_000;
    const MOST_QUEUED: usize = 100;
    let listener = UdpListener::bind(addr("127.0.0.1:0")).unwrap();
    let (to, readiness) = (listener.local_addr().unwrap(), listener.readiness().unwrap());
    let received = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&received);
    let client = move || {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        for sent in 0..DATAGRAMS {
            while sent - counted.load(Relaxed) >= MOST_QUEUED {
                thread::yield_now();
            }
            client.send_to(&[0; 40], to).unwrap();
        }
    };
    let client = thread::Builder::new().spawn(client).unwrap();
    let mut batch = RecvBatch::new();
    while received.load(Relaxed) < DATAGRAMS {
        let next = timeout(TIMEOUT, readiness.receive(&listener, &mut batch)).await;
        received.fetch_add(next.expect("a datagram arrives").unwrap(), Relaxed);
    }
    client.join().unwrap();
}

#[tokio::test(flavor = "current_thread")]
async fn receive_without_datagrams_would_block_and_an_empty_send_is_a_no_op() {
    let listener = UdpListener::bind(addr("127.0.0.1:0")).unwrap();
    let mut batch = RecvBatch::new();
    assert_eq!(listener.receive(&mut batch).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert_eq!(batch.iter().count(), 0);
    let sent = listener.send([]);
    assert_eq!((sent.sent, sent.refused, sent.dropped), (0, 0, 0));
}

#[tokio::test(flavor = "current_thread")]
async fn datagrams_beyond_the_receive_queue_are_counted() {
    let listener = UdpListener::bind(addr("127.0.0.1:0")).unwrap();
    assert_eq!(listener.queue_overflows().unwrap(), 0);
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(listener.local_addr().unwrap()).unwrap();
    for _ in 0..20_000 {
        client.send(&[0; 1200]).unwrap();
    }
    let dropped = usize::try_from(listener.queue_overflows().unwrap()).unwrap();
    let mut batch = RecvBatch::new();
    let mut queued = 0;
    while let Ok(count) = listener.receive(&mut batch) {
        queued += count;
    }
    assert!(dropped > 0);
    assert_eq!(queued + dropped, 20_000);
}

#[tokio::test(flavor = "current_thread")]
async fn sockets_share_a_port_and_may_be_bound_before_their_address_exists() {
    for absent in ["192.0.2.53:0", "[2001:db8::53]:0"] {
        let first = UdpListener::bind(addr(absent)).unwrap();
        UdpListener::bind(first.local_addr().unwrap()).unwrap();
        let first = tcp::listen(addr(absent), 128).unwrap();
        tcp::listen(first.local_addr().unwrap(), 128).unwrap();
    }
    // A connection of another test may have the port on an IPv4 address.
    let is_v6_only = || {
        let v6 = tcp::listen(addr("[::]:0"), 128).unwrap();
        let port = v6.local_addr().unwrap().port();
        tcp::listen(addr(&format!("0.0.0.0:{port}")), 128).is_ok()
    };
    assert!((0..16).any(|_| is_v6_only()), "[::] is IPv6 only");
}

#[tokio::test(flavor = "current_thread")]
async fn a_port_in_use_is_an_error() {
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let error = UdpListener::bind(other.local_addr().unwrap()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let error = tcp::listen(other.local_addr().unwrap(), 128).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}

/// Waits until the connection is established.
async fn dial(to: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let stream = TcpStream::from_std(tcp::dial(to, source)?)?;
    stream.writable().await?;
    match stream.take_error()? {
        Some(error) => Err(error),
        None => Ok(stream),
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_dialled_connection_reaches_a_listener() {
    for local in ["127.0.0.1:0", "[::1]:0"] {
        let listener = TcpListener::from_std(tcp::listen(addr(local), 128).unwrap()).unwrap();
        let to = listener.local_addr().unwrap();
        let dial = dial(to, None);
        let (dialled, accepted) =
            timeout(TIMEOUT, async { tokio::join!(dial, listener.accept()) }).await.unwrap();
        let (mut dialled, mut accepted): (TcpStream, TcpStream) = (dialled.unwrap(), accepted.unwrap().0);
        tcp::tune_accepted(&accepted).unwrap();
        assert!(dialled.nodelay().unwrap() && accepted.nodelay().unwrap());
        dialled.write_all(b"hello").await.unwrap();
        let mut buffer = [0; 5];
        timeout(TIMEOUT, accepted.read_exact(&mut buffer)).await.unwrap().unwrap();
        assert_eq!(&buffer, b"hello");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_closed_port_is_an_error_on_a_connected_socket() {
    for local in ["127.0.0.1:0", "[::1]:0"] {
        let closed = UdpSocket::bind(local).unwrap().local_addr().unwrap();
        let socket = tokio::net::UdpSocket::from_std(linux::udp::connect(closed, None).unwrap()).unwrap();
        socket.send(b"question").await.unwrap();
        let answer = timeout(TIMEOUT, socket.recv(&mut [0; 16])).await.expect("the ICMP error arrives");
        assert_eq!(answer.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn sockets_use_the_given_source_address() {
    let source: IpAddr = "127.0.0.2".parse().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap();
    let dial = dial(to, Some(source));
    let (dialled, accepted) =
        timeout(TIMEOUT, async { tokio::join!(dial, listener.accept()) }).await.unwrap();
    assert_eq!((dialled.unwrap().local_addr().unwrap().ip(), accepted.unwrap().1.ip()), (source, source));
    let socket = linux::udp::connect(to, Some(source)).unwrap();
    assert_eq!(socket.local_addr().unwrap().ip(), source);
    assert_ne!(socket.local_addr().unwrap().port(), 0);
    let foreign = Some("192.0.2.1".parse().unwrap());
    assert_eq!(tcp::dial(to, foreign).unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
    assert_eq!(linux::udp::connect(to, foreign).unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
}

#[test]
fn the_descriptor_limit_is_raised_to_the_hard_limit() {
    let limit = raise_descriptor_limit().unwrap();
    assert_eq!(raise_descriptor_limit().unwrap(), limit);
    let (soft, hard) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap();
    assert_eq!((soft, hard), (limit, limit));
}

#[test]
fn only_addresses_of_the_node_can_be_listened_on() {
    let is_missing = |text| {
        let checked = check_local_address(addr(text));
        checked.is_err_and(|error| error.kind() == io::ErrorKind::AddrNotAvailable)
    };
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    check_local_address(socket.local_addr().unwrap()).unwrap();
    assert!(!is_missing("127.9.9.9:53"), "all of 127.0.0.0/8");
    for missing in ["203.0.113.77:53", "224.0.0.251:53", "255.255.255.255:53", "[2001:db8::77]:53"] {
        assert!(is_missing(missing), "{missing}");
    }
}

/// With a full backlog, SYNs are dropped.
#[tokio::test]
async fn a_connection_is_connecting_until_the_peers_host_has_responded() {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&addr("127.0.0.1:0").into()).unwrap();
    listener.listen(0).unwrap();
    let to = listener.local_addr().unwrap().as_socket().unwrap();
    let waiting = timeout(TIMEOUT, dial(to, None)).await.unwrap().unwrap();
    assert!(!tcp::is_connecting(&waiting).unwrap());
    let connecting = TcpStream::from_std(tcp::dial(to, None).unwrap()).unwrap();
    assert!(tcp::is_connecting(&connecting).unwrap());
    drop(listener);
    let refused = tcp::dial(to, None).unwrap();
    assert!(!tcp::is_connecting(&refused).unwrap());
}

#[tokio::test]
async fn nothing_is_unacknowledged_after_a_reset() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (ours, theirs) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    let (ours, theirs) = (ours.unwrap(), theirs.unwrap().0);
    let octets = vec![0; 1024 * 1024];
    while ours.try_write(&octets).is_ok() {}
    assert!(tcp::unacknowledged_octets(&ours).unwrap() > 0);
    drop(theirs);
    timeout(TIMEOUT, ours.ready(Interest::READABLE)).await.unwrap().unwrap();
    assert_eq!(tcp::unacknowledged_octets(&ours).unwrap(), 0);
}

#[tokio::test]
async fn octets_are_unacknowledged_until_the_peers_host_has_received_them() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (ours, theirs) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    let (ours, mut theirs) = (ours.unwrap(), theirs.unwrap().0);
    assert_eq!(tcp::unacknowledged_octets(&ours).unwrap(), 0);
    // The peer's host takes no more when its buffer is full.
    let octets = vec![0; 1024 * 1024];
    let mut written = 0;
    while let Ok(count) = ours.try_write(&octets) {
        written += count;
    }
    let unacknowledged = tcp::unacknowledged_octets(&ours).unwrap();
    assert!(unacknowledged > 0 && unacknowledged <= written, "{unacknowledged} of {written}");
    theirs.read_exact(&mut vec![0; written]).await.unwrap();
    let acknowledged = async {
        while tcp::unacknowledged_octets(&ours).unwrap() > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(TIMEOUT, acknowledged).await.expect("all are acknowledged");
}
