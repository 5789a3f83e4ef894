//! The active instance, and a successor that violates the hand-over protocol, is slow, or exits.

use std::net::{Shutdown, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;

use socket2::Socket;
use testkit::client::QueryOptions;
use testkit::upstream::Upstream;

use crate::fixture::{DNS, DaemonProcess, Node, WAIT_LIMIT, forward_corefile, upstream, wait_until};
use crate::foreign_peer::{
    ForeignPeer, HELLO, Message, RESUMED, RETURNED, SOCKET, SOCKET_FILE, STATUS, STATUS_REQUEST, STOPPED,
    TAKEN, WELCOME, encode,
};
use crate::load::Load;
use crate::responses::data;

/// A node with an active daemon.
struct Setup {
    node: Node,
    upstream: Upstream,
    daemon: DaemonProcess,
}

impl Setup {
    fn new() -> Self {
        let (node, upstream) = (Node::new(), upstream());
        let daemon = node.command(&forward_corefile(&upstream, "")).spawn().wait_until_ready();
        Self { node, upstream, daemon }
    }

    /// No query is lost while foreign peers behave like this, and a successor takes over at the
    /// end.
    fn assert_no_loss_during(self, behaviour: impl FnOnce(&Node, &DaemonProcess)) {
        let load = Load::start((self.node.ip, DNS).into());
        load.wait_for_progress();
        behaviour(&self.node, &self.daemon);
        load.wait_for_progress();
        load.stop().assert_no_loss();
        self.hand_over_and_stop();
    }

    fn hand_over_and_stop(self) {
        let successor = self.node.command(&forward_corefile(&self.upstream, "")).spawn();
        successor.wait_for_log("took over");
        let successor = successor.wait_until_ready();
        let end = self.daemon.terminate();
        assert_eq!((end.code, end.stderr), (Some(0), Vec::new()));
        assert_eq!(data(&successor.query("ok-1.example.")), ["192.0.2.1"]);
        assert_eq!(successor.warnings(), Vec::<String>::new());
        assert_eq!(successor.terminate().code, Some(0));
        assert_eq!(self.node.files(), Vec::<String>::new());
    }
}

/// The sockets of an offer.
fn sockets(offer: Vec<Message>) -> Vec<OwnedFd> {
    offer
        .into_iter()
        .filter(|message| message.kind == SOCKET)
        .map(|message| message.descriptor.unwrap())
        .collect()
}

#[test]
fn offer_follows_the_protocol() {
    let setup = Setup::new();
    setup.daemon.query("ok-1.example.");
    let (peer, offer) = ForeignPeer::request_offer(&setup.node);
    assert!(offer.iter().all(|message| message.version == 1));
    let kinds: Vec<u16> = offer.iter().map(|message| message.kind).collect();
    assert_eq!(kinds, [2, 3, 3, 3, 3, 3, 4, 5, 6, 7], "{offer:?}");
    let texts: Vec<String> =
        offer.iter().map(|message| String::from_utf8_lossy(&message.octets).into()).collect();
    let ip = setup.node.ip;
    assert!(texts[0].starts_with("version "));
    assert_eq!(texts[1..3], [format!("udp {ip}:5300"), format!("tcp {ip}:5300")]);
    assert!(texts[3..6].iter().all(|text| text.starts_with("http ")), "{texts:?}");
    for (text, socket) in texts[1..].iter().zip(sockets(offer)) {
        let bound = Socket::from(socket).local_addr().unwrap().as_socket().unwrap();
        assert!(text.ends_with(&format!(" {bound}")), "{text}");
    }
    drop(peer);
    setup.hand_over_and_stop();
}

#[test]
fn silent_connections_do_not_block_other_peers() {
    let setup = Setup::new();
    let silent: Vec<ForeignPeer> = (0..50).map(|_| ForeignPeer::connect(&setup.node)).collect();
    let mut client = ForeignPeer::connect(&setup.node);
    client.send(STATUS_REQUEST, b"");
    assert_eq!(client.receive().unwrap().kind, STATUS);
    setup.assert_no_loss_during(|node, daemon| {
        // Silent connections are closed after a timeout.
        silent.into_iter().for_each(ForeignPeer::read_to_end);
        let (_peer, offer) = ForeignPeer::request_offer(node);
        assert_eq!(sockets(offer).len(), 5);
        assert_eq!(daemon.warnings(), Vec::<String>::new());
    });
}

#[test]
fn silent_connections_do_not_block_a_successor() {
    let setup = Setup::new();
    let _silent: Vec<ForeignPeer> = (0..50).map(|_| ForeignPeer::connect(&setup.node)).collect();
    setup.hand_over_and_stop();
}

#[test]
fn successor_that_exits_after_the_offer_changes_nothing() {
    Setup::new().assert_no_loss_during(|node, daemon| {
        for _ in 0..10 {
            let (peer, offer) = ForeignPeer::request_offer(node);
            drop((peer, offer));
        }
        daemon.wait_for_log("[WARNING] a successor has not taken over: the peer has closed the connection");
        // One that holds the sockets for longer.
        let (peer, offer) = ForeignPeer::request_offer(node);
        assert_eq!(sockets(offer).len(), 5);
        drop(peer);
    });
}

#[test]
fn successor_that_exits_during_the_hello_changes_nothing() {
    Setup::new().assert_no_loss_during(|node, daemon| {
        let hello = encode(1, HELLO, b"version 9.9.9\n");
        for length in 0..hello.len() {
            ForeignPeer::connect(node).send_raw(&hello[..length]);
        }
        let mut peer = ForeignPeer::connect(node);
        peer.send_raw(&hello);
        assert_eq!(peer.receive().unwrap().kind, WELCOME);
        drop(peer);
        daemon.wait_for_log("a successor has not taken over: the peer has closed the connection");
    });
}

#[test]
fn predecessor_serves_again_after_its_successor_disconnects() {
    Setup::new().assert_no_loss_during(|node, daemon| {
        for round in 1..=3 {
            let (mut peer, offer) = ForeignPeer::request_offer(node);
            peer.send(TAKEN, b"");
            assert_eq!(peer.receive().unwrap().kind, STOPPED);
            drop((peer, offer));
            assert!(resumed(daemon, round), "{:?}", daemon.log_lines());
        }
        daemon.wait_for_log("[WARNING] the successor has exited without handing back");
        // Without waiting for the reply.
        let (mut peer, offer) = ForeignPeer::request_offer(node);
        peer.send(TAKEN, b"");
        drop((peer, offer));
        assert!(resumed(daemon, 4), "{:?}", daemon.log_lines());
    });
}

fn resumed(daemon: &DaemonProcess, times: u64) -> bool {
    wait_until(WAIT_LIMIT, || {
        let resumptions = daemon.log_lines().iter().filter(|line| line.contains("active again")).count();
        u64::try_from(resumptions).unwrap() == times
    })
}

/// The error of accept is permanent then: EINVAL.
#[test]
fn a_listener_that_accepts_no_more_ends_the_process_with_the_reason() {
    let Setup { node, upstream, daemon } = Setup::new();
    let (peer, offer) = ForeignPeer::request_offer(&node);
    let listener = sockets(offer).into_iter().map(Socket::from).find(|socket| socket.is_listener().unwrap());
    listener.unwrap().shutdown(Shutdown::Both).unwrap();
    drop(peer);
    let exit = daemon.wait_for_exit();
    assert_eq!(exit.code, Some(1));
    let reason = "worker 0 has ended, which is a bug: its task \"TCP listener\" has ended";
    assert!(exit.stderr.last().unwrap().starts_with(reason), "{:?}", exit.stderr);
    assert!(exit.stdout.iter().any(|line| line.contains("a TCP listener accepts no more: Invalid argument")));
    let restarted = node.command(&forward_corefile(&upstream, "")).spawn().wait_until_ready();
    assert_eq!(data(&restarted.query_with("ok-1.example.", &QueryOptions::tcp())), ["192.0.2.1"]);
}

#[test]
fn unexpected_messages_are_skipped() {
    Setup::new().assert_no_loss_during(|node, daemon| {
        let (mut peer, _offer) = ForeignPeer::request_offer(node);
        for kind in [RETURNED, 0, 77, 65535, STATUS_REQUEST, HELLO, SOCKET - 1] {
            peer.send(kind, b"out of turn");
        }
        peer.send(TAKEN, b"");
        assert_eq!(peer.receive().unwrap().kind, STOPPED);
        for kind in [TAKEN, TAKEN, HELLO, 77, 65535, STOPPED] {
            peer.send(kind, &[7; 1000]);
        }
        peer.send(RETURNED, b"");
        assert_eq!(peer.receive().unwrap().kind, RESUMED);
        peer.send(RETURNED, b"");
        peer.read_to_end();
        assert!(resumed(daemon, 1));
    });
}

#[test]
fn connection_without_hello_is_rejected() {
    Setup::new().assert_no_loss_during(|node, daemon| {
        for kind in [TAKEN, RETURNED, SOCKET, 0, 12, 65535] {
            let mut peer = ForeignPeer::connect(node);
            peer.send(kind, b"");
            peer.read_to_end();
        }
        for octets in
            [b"GET / HTTP/1.1\r\n\r\n".as_slice(), b"nldh\0\x01\0\x01\xff\xff\xff\xff", &[0; 100_000]]
        {
            let mut peer = ForeignPeer::connect(node);
            peer.send_raw(octets);
            peer.read_to_end();
        }
        daemon.wait_for_log(
            "[WARNING] hand-over connection rejected: the peer does not speak the hand-over protocol",
        );
        daemon.wait_for_log("[WARNING] hand-over connection rejected: messages and descriptors do not match");
        daemon.wait_for_log(
            "[WARNING] hand-over connection rejected: a message of 4294967295 octets is too long",
        );
    });
}

#[test]
fn successor_of_another_version_receives_our_version() {
    Setup::new().assert_no_loss_during(|node, daemon| {
        let mut peer = ForeignPeer::connect(node);
        peer.send_raw(&encode(2, HELLO, b"version 2.0.0\n"));
        let welcome = peer.receive().unwrap();
        assert_eq!((welcome.version, welcome.kind), (1, WELCOME));
        assert!(peer.receive().is_none());
        daemon.wait_for_log(
            "[WARNING] a successor cannot take over: the peer speaks version 2 of the hand-over protocol, not 1",
        );
    });
}

#[test]
fn successors_version_text_is_sanitized_in_the_log() {
    let setup = Setup::new();
    let mut peer = ForeignPeer::connect(&setup.node);
    let name = format!("version 1\n[FATAL] forged\r\x1b[31m{}", "x".repeat(100_000));
    peer.send(HELLO, name.as_bytes());
    peer.receive_until(7);
    peer.send(TAKEN, b"");
    assert_eq!(peer.receive().unwrap().kind, STOPPED);
    let line = setup.daemon.wait_for_log("handed over to");
    assert!(line.len() < 300 && !line.contains('\x1b'), "{} octets: {:.300}", line.len(), line);
    assert!(
        setup.daemon.log_lines().iter().all(|line| !line.starts_with("[FATAL]")),
        "{:?}",
        setup.daemon.log_lines()
    );
    drop(peer);
    setup.daemon.wait_for_log("active again");
    setup.hand_over_and_stop();
}

#[test]
fn successor_that_reads_early_does_not_stop_the_active_instance() {
    let setup = Setup::new();
    let (peer, offer) = ForeignPeer::request_offer(&setup.node);
    let address: SocketAddr = (setup.node.ip, DNS).into();
    let shared: Vec<UdpSocket> = sockets(offer)
        .into_iter()
        .map(Socket::from)
        .filter(|socket| socket.r#type().unwrap() == socket2::Type::DGRAM)
        .map(UdpSocket::from)
        .collect();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    let read = wait_until(WAIT_LIMIT, || {
        client.send_to(&[0; 12], address).unwrap();
        shared.iter().any(|socket| socket.recv(&mut [0; 100]).is_ok())
    });
    assert!(read, "the peer shares the queue");
    // The flags of an open file description are common to all that share it.
    for socket in &shared {
        socket.set_nonblocking(false).unwrap();
    }
    assert_eq!(data(&setup.daemon.query("ok-1.example.")), ["192.0.2.1"]);
    drop((shared, peer));
    assert_eq!(data(&setup.daemon.query("ok-2.example.")), ["192.0.2.1"]);
    setup.assert_no_loss_during(|_, daemon| assert_eq!(daemon.ready(), Some(200)));
}

#[test]
fn socket_and_directory_are_accessible_to_the_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let setup = Setup::new();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&setup.node.directory.join(SOCKET_FILE)), 0o600);
    assert_eq!(mode(&setup.node.directory), 0o700);
    setup.hand_over_and_stop();
}
