//! Passing sockets to another process (SCM_RIGHTS): queues survive, other descriptors are rejected.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use linux::scm_rights::{self, MAX_DESCRIPTORS, PeerCredentials};
use linux::tcp;
use linux::udp::{RecvBatch, UdpListener};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

const TIMEOUT: Duration = Duration::from_secs(10);

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Passes one descriptor to ourselves and returns the received one.
fn passed(descriptor: BorrowedFd<'_>) -> OwnedFd {
    let (ours, theirs) = UnixStream::pair().unwrap();
    assert_eq!(scm_rights::send(ours.as_fd(), b"one", &[descriptor]).unwrap(), 3);
    let mut descriptors = Vec::new();
    assert_eq!(scm_rights::receive(theirs.as_fd(), &mut [0; 16], &mut descriptors).unwrap(), 3);
    assert_eq!(descriptors.len(), 1);
    descriptors.pop().unwrap()
}

/// Waits until the descriptor is readable.
fn wait_for(descriptor: BorrowedFd<'_>) {
    let timeout = PollTimeout::try_from(TIMEOUT).unwrap();
    let ready = poll(&mut [PollFd::new(descriptor, PollFlags::POLLIN)], timeout).unwrap();
    assert_eq!(ready, 1, "the descriptor is readable");
}

#[test]
fn a_queued_datagram_is_read_by_the_successor() {
    for bound in ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "[::]:0"] {
        let old = UdpListener::bind(addr(bound)).unwrap();
        let local = old.local_addr().unwrap();
        let target = if local.is_ipv4() { "127.0.0.1" } else { "::1" };
        let client = UdpSocket::bind((target, 0)).unwrap();
        client.set_read_timeout(Some(TIMEOUT)).unwrap();
        client.send_to(b"question", (target, local.port())).unwrap();
        wait_for(old.as_fd());
        let copy = old.try_clone().unwrap();
        let descriptor = passed(copy.as_fd());
        drop((old, copy));
        let new = UdpListener::inherit(descriptor, local).unwrap();
        let mut batch = RecvBatch::new();
        assert_eq!(new.receive(&mut batch).unwrap(), 1, "{bound}");
        let (octets, source) = batch.iter().next().unwrap();
        assert_eq!((octets, source.peer), (&b"question"[..], client.local_addr().unwrap()));
        assert_eq!(source.local.is_some(), local.ip().is_unspecified(), "{bound}");
        assert_eq!(new.send([(&b"answer"[..], source.peer, source.local)]).sent, 1);
        let mut buffer = [0; 16];
        assert_eq!(client.recv(&mut buffer).unwrap(), 6);
        assert_eq!(new.receive(&mut batch).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}

#[test]
fn a_queued_connection_is_accepted_by_the_successor() {
    for bound in ["127.0.0.1:0", "[::1]:0"] {
        let old = tcp::listen(addr(bound), 8).unwrap();
        let local = old.local_addr().unwrap();
        let mut client = TcpStream::connect(local).unwrap();
        client.set_read_timeout(Some(TIMEOUT)).unwrap();
        client.write_all(b"question").unwrap();
        wait_for(old.as_fd());
        let descriptor = passed(old.as_fd());
        drop(old);
        let new = tcp::inherit(descriptor, local).unwrap();
        let (mut accepted, peer) = new.accept().unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
        let mut buffer = [0; 8];
        accepted.set_nonblocking(false).unwrap();
        accepted.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"question");
        assert_eq!(new.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock, "no further connection");
    }
}

#[test]
fn other_descriptors_are_rejected_with_the_reason() {
    let udp = UdpListener::bind(addr("127.0.0.1:0")).unwrap();
    let listener = tcp::listen(addr("127.0.0.1:0"), 8).unwrap();
    let (udp_addr, tcp_addr) = (udp.local_addr().unwrap(), listener.local_addr().unwrap());
    let unshared_udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let unshared_tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let connected = UdpSocket::bind("127.0.0.1:0").unwrap();
    connected.connect("127.0.0.1:9").unwrap();
    let connection = TcpStream::connect(tcp_addr).unwrap();
    let idle = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    idle.set_reuse_port(true).unwrap();
    idle.bind(&addr("127.0.0.1:0").into()).unwrap();
    let dual_stack = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::DGRAM, None).unwrap();
    dual_stack.set_only_v6(false).unwrap();
    dual_stack.set_reuse_port(true).unwrap();
    dual_stack.bind(&addr("[::]:0").into()).unwrap();
    let of = |socket: &socket2::Socket| socket.local_addr().unwrap().as_socket().unwrap();
    let (reader, _writer) = io::pipe().unwrap();
    let file = std::fs::File::open("/proc/self/stat").unwrap();
    let (unix, _other) = UnixStream::pair().unwrap();
    let as_udp = |descriptor, addr| UdpListener::inherit(passed(descriptor), addr).map(drop);
    let as_tcp = |descriptor, addr| tcp::inherit(passed(descriptor), addr).map(drop);
    for (rejection, reason) in [
        (as_udp(reader.as_fd(), udp_addr), "no socket"),
        (as_tcp(file.as_fd(), tcp_addr), "no socket"),
        (as_udp(unix.as_fd(), udp_addr), "another kind"),
        (as_udp(listener.as_fd(), tcp_addr), "another kind"),
        (as_tcp(udp.as_fd(), udp_addr), "another kind"),
        (as_udp(udp.as_fd(), SocketAddr::new("127.0.0.2".parse().unwrap(), udp_addr.port())), "bound to"),
        (as_tcp(listener.as_fd(), addr("127.0.0.1:1")), "bound to"),
        (as_udp(udp.as_fd(), addr("[::1]:53")), "another kind"),
        (as_udp(unshared_udp.as_fd(), unshared_udp.local_addr().unwrap()), "SO_REUSEPORT"),
        (as_tcp(unshared_tcp.as_fd(), unshared_tcp.local_addr().unwrap()), "SO_REUSEPORT"),
        (as_udp(connected.as_fd(), connected.local_addr().unwrap()), "connected to a peer"),
        (as_tcp(connection.as_fd(), connection.local_addr().unwrap()), "connected to a peer"),
        (as_tcp(idle.as_fd(), of(&idle)), "takes no connections"),
        (as_udp(dual_stack.as_fd(), of(&dual_stack)), "takes IPv4 as well"),
    ] {
        let error = rejection.expect_err(reason);
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains(reason), "{reason}: {error}");
    }
}

#[test]
fn max_descriptors_are_received_and_one_more_is_rejected() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (mut reader, writer) = io::pipe().unwrap();
    let mut many = vec![writer.as_fd(); MAX_DESCRIPTORS];
    let mut descriptors = Vec::new();
    let mut buffer = [0; 16];
    assert_eq!(scm_rights::send(ours.as_fd(), b"many", &many).unwrap(), 4);
    assert_eq!(scm_rights::receive(theirs.as_fd(), &mut buffer, &mut descriptors).unwrap(), 4);
    assert_eq!((descriptors.len(), &buffer[..4]), (MAX_DESCRIPTORS, &b"many"[..]));
    many.push(writer.as_fd());
    for refused in [
        scm_rights::send(ours.as_fd(), b"x", &many),
        scm_rights::send(ours.as_fd(), b"", &many[..1]),
        scm_rights::receive(theirs.as_fd(), &mut [], &mut descriptors),
    ] {
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
    assert_eq!(scm_rights::send(ours.as_fd(), b"none", &[]).unwrap(), 4);
    assert_eq!(scm_rights::receive(theirs.as_fd(), &mut buffer, &mut descriptors).unwrap(), 4);
    assert_eq!(descriptors.len(), MAX_DESCRIPTORS, "octets without descriptors");
    drop(many);
    drop((writer, descriptors));
    assert_eq!(reader.read(&mut [0]).unwrap(), 0, "the other end is closed");
}

#[test]
fn a_closed_connection_differs_from_an_empty_queue() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (mut buffer, mut descriptors) = ([0; 16], Vec::new());
    theirs.set_nonblocking(true).unwrap();
    let error = scm_rights::receive(theirs.as_fd(), &mut buffer, &mut descriptors).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    drop(ours);
    assert_eq!(scm_rights::receive(theirs.as_fd(), &mut buffer, &mut descriptors).unwrap(), 0);
    let error = scm_rights::send(theirs.as_fd(), b"x", &[]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn peer_credentials_come_from_the_kernel() {
    let directory = std::env::temp_dir().join(format!("nodelocaldns-peer-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let client = UnixStream::connect(&path).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
    let uid = std::fs::metadata("/proc/self").unwrap().uid();
    let ourselves = PeerCredentials { uid, pid: Some(std::process::id()) };
    assert_eq!(scm_rights::peer_credentials(accepted.as_fd()).unwrap(), ourselves);
    assert_eq!(scm_rights::peer_credentials(client.as_fd()).unwrap(), ourselves);
    let unconnected = std::os::unix::net::UnixDatagram::unbound().unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    for other in [unconnected.as_fd(), tcp.as_fd()] {
        assert_eq!(scm_rights::peer_credentials(other).unwrap_err().kind(), io::ErrorKind::NotConnected);
    }
}
