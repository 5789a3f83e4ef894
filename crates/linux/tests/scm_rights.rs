//! Sockets that one process passes to another: the kernel's own queues survive, and nothing else is taken for them.
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

const PATIENCE: Duration = Duration::from_secs(10);

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Passes one descriptor to ourselves and gives back what arrives.
fn passed(descriptor: BorrowedFd<'_>) -> OwnedFd {
    let (ours, theirs) = UnixStream::pair().unwrap();
    assert_eq!(scm_rights::send(ours.as_fd(), b"one", &[descriptor]).unwrap(), 3);
    let mut descriptors = Vec::new();
    assert_eq!(scm_rights::receive(theirs.as_fd(), &mut [0; 16], &mut descriptors).unwrap(), 3);
    assert_eq!(descriptors.len(), 1);
    descriptors.pop().unwrap()
}

/// Waits until something can be read or accepted.
fn wait_for(descriptor: BorrowedFd<'_>) {
    let patience = PollTimeout::try_from(PATIENCE).unwrap();
    let ready = poll(&mut [PollFd::new(descriptor, PollFlags::POLLIN)], patience).unwrap();
    assert_eq!(ready, 1, "something arrives");
}

#[test]
fn a_datagram_that_waits_is_read_by_the_successor() {
    for bound in ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "[::]:0"] {
        let old = UdpListener::bind(addr(bound)).unwrap();
        let local = old.local_addr().unwrap();
        let target = if local.is_ipv4() { "127.0.0.1" } else { "::1" };
        let client = UdpSocket::bind((target, 0)).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
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
fn a_connection_that_waits_is_accepted_by_the_successor() {
    for bound in ["127.0.0.1:0", "[::1]:0"] {
        let old = tcp::listen(addr(bound), 8).unwrap();
        let local = old.local_addr().unwrap();
        let mut client = TcpStream::connect(local).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
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
        assert_eq!(new.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock, "nobody waits for the next");
    }
}

#[test]
fn what_is_not_the_socket_it_should_be_is_refused_with_the_reason() {
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
    let both = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::DGRAM, None).unwrap();
    both.set_only_v6(false).unwrap();
    both.set_reuse_port(true).unwrap();
    both.bind(&addr("[::]:0").into()).unwrap();
    let of = |socket: &socket2::Socket| socket.local_addr().unwrap().as_socket().unwrap();
    let (reader, _writer) = io::pipe().unwrap();
    let file = std::fs::File::open("/proc/self/stat").unwrap();
    let (unix, _other) = UnixStream::pair().unwrap();
    let as_udp = |descriptor, addr| UdpListener::inherit(passed(descriptor), addr).map(drop);
    let as_tcp = |descriptor, addr| tcp::inherit(passed(descriptor), addr).map(drop);
    for (refusal, reason) in [
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
        (as_udp(both.as_fd(), of(&both)), "takes IPv4 as well"),
    ] {
        let error = refusal.expect_err(reason);
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains(reason), "{reason}: {error}");
    }
}

#[test]
fn as_many_as_the_kernel_takes_arrive_and_one_more_is_refused() {
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
    assert_eq!(descriptors.len(), MAX_DESCRIPTORS, "octets alone carry none");
    drop(many);
    drop((writer, descriptors));
    assert_eq!(reader.read(&mut [0]).unwrap(), 0, "nobody holds the other end any more");
}

#[test]
fn the_end_and_an_empty_queue_are_told_apart() {
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
fn a_peer_is_known_by_what_the_kernel_says() {
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
    for stranger in [unconnected.as_fd(), tcp.as_fd()] {
        assert_eq!(scm_rights::peer_credentials(stranger).unwrap_err().kind(), io::ErrorKind::NotConnected);
    }
}
