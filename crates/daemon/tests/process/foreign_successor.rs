//! One in service, and somebody who comes in the place of a successor and does not do as he should.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;

use socket2::Socket;
use testkit::upstream::Upstream;

use crate::fixture::{DNS, DaemonProcess, Node, WAIT_LIMIT, forward_corefile, upstream, wait_until};
use crate::foreign_peer::{
    ASKED, HELLO, Letter, RESUMED, RETURNED, SOCKET, SOCKET_FILE, STATUS, STOPPED, Stranger, TAKEN, WELCOME,
    letter,
};
use crate::load::Load;
use crate::responses::data;

/// A node with a daemon in service.
struct Scene {
    node: Node,
    upstream: Upstream,
    daemon: DaemonProcess,
}

impl Scene {
    fn set() -> Self {
        let (node, upstream) = (Node::new(), upstream());
        let daemon = node.command(&forward_corefile(&upstream, "")).spawn().wait_until_ready();
        Self { node, upstream, daemon }
    }

    /// Nothing is lost while strangers do as they do, and a successor takes over at the end.
    fn withstands(self, conduct: impl FnOnce(&Node, &DaemonProcess)) {
        let load = Load::start((self.node.ip, DNS).into());
        load.wait_for_progress();
        conduct(&self.node, &self.daemon);
        load.wait_for_progress();
        load.stop().assert_no_loss();
        self.ends_succeeded();
    }

    fn ends_succeeded(self) {
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

/// The sockets among what was given.
fn sockets(given: Vec<Letter>) -> Vec<OwnedFd> {
    given
        .into_iter()
        .filter(|letter| letter.kind == SOCKET)
        .map(|letter| letter.descriptor.unwrap())
        .collect()
}

#[test]
fn offer_follows_the_protocol() {
    let scene = Scene::set();
    scene.daemon.query("ok-1.example.");
    let (stranger, given) = Stranger::claim(&scene.node);
    assert!(given.iter().all(|letter| letter.version == 1));
    let kinds: Vec<u16> = given.iter().map(|letter| letter.kind).collect();
    assert_eq!(kinds, [2, 3, 3, 3, 3, 3, 4, 5, 6, 7], "{given:?}");
    let texts: Vec<String> =
        given.iter().map(|letter| String::from_utf8_lossy(&letter.octets).into()).collect();
    let ip = scene.node.ip;
    assert!(texts[0].starts_with("version "));
    assert_eq!(texts[1..3], [format!("udp {ip}:5300"), format!("tcp {ip}:5300")]);
    assert!(texts[3..6].iter().all(|text| text.starts_with("http ")), "{texts:?}");
    for (text, socket) in texts[1..].iter().zip(sockets(given)) {
        let bound = Socket::from(socket).local_addr().unwrap().as_socket().unwrap();
        assert!(text.ends_with(&format!(" {bound}")), "{text}");
    }
    drop(stranger);
    scene.ends_succeeded();
}

#[test]
fn silent_connections_do_not_block_other_peers() {
    let scene = Scene::set();
    let silent: Vec<Stranger> = (0..50).map(|_| Stranger::visit(&scene.node)).collect();
    let mut asker = Stranger::visit(&scene.node);
    asker.say(ASKED, b"");
    assert_eq!(asker.hear().unwrap().kind, STATUS);
    scene.withstands(|node, daemon| {
        // Those who say nothing are let go.
        silent.into_iter().for_each(Stranger::hears_out);
        let (_stranger, given) = Stranger::claim(node);
        assert_eq!(sockets(given).len(), 5);
        assert_eq!(daemon.warnings(), Vec::<String>::new());
    });
}

#[test]
fn silent_connections_do_not_block_a_successor() {
    let scene = Scene::set();
    let _silent: Vec<Stranger> = (0..50).map(|_| Stranger::visit(&scene.node)).collect();
    scene.ends_succeeded();
}

#[test]
fn successor_that_exits_after_the_offer_changes_nothing() {
    Scene::set().withstands(|node, daemon| {
        for _ in 0..10 {
            let (stranger, given) = Stranger::claim(node);
            drop((stranger, given));
        }
        daemon.wait_for_log("[WARNING] a successor has not taken over: the peer has closed the connection");
        // One that stays longer, with the sockets.
        let (stranger, given) = Stranger::claim(node);
        assert_eq!(sockets(given).len(), 5);
        drop(stranger);
    });
}

#[test]
fn successor_that_exits_during_the_hello_changes_nothing() {
    Scene::set().withstands(|node, daemon| {
        let hello = letter(1, HELLO, b"version 9.9.9\n");
        for length in 0..hello.len() {
            Stranger::visit(node).utter(&hello[..length]);
        }
        let mut stranger = Stranger::visit(node);
        stranger.utter(&hello);
        assert_eq!(stranger.hear().unwrap().kind, WELCOME);
        drop(stranger);
        daemon.wait_for_log("a successor has not taken over: the peer has closed the connection");
    });
}

#[test]
fn predecessor_serves_again_after_its_successor_disconnects() {
    Scene::set().withstands(|node, daemon| {
        for round in 1..=3 {
            let (mut stranger, given) = Stranger::claim(node);
            stranger.say(TAKEN, b"");
            assert_eq!(stranger.hear().unwrap().kind, STOPPED);
            drop((stranger, given));
            assert!(resumed(daemon, round), "{:?}", daemon.log_lines());
        }
        daemon.wait_for_log("[WARNING] the successor has exited without handing back");
        // Not even the answer is waited for.
        let (mut stranger, given) = Stranger::claim(node);
        stranger.say(TAKEN, b"");
        drop((stranger, given));
        assert!(resumed(daemon, 4), "{:?}", daemon.log_lines());
    });
}

fn resumed(daemon: &DaemonProcess, times: u64) -> bool {
    wait_until(WAIT_LIMIT, || {
        let back = daemon.log_lines().iter().filter(|line| line.contains("active again")).count();
        u64::try_from(back).unwrap() == times
    })
}

#[test]
fn unexpected_messages_are_skipped() {
    Scene::set().withstands(|node, daemon| {
        let (mut stranger, _given) = Stranger::claim(node);
        for kind in [RETURNED, 0, 77, 65535, ASKED, HELLO, SOCKET - 1] {
            stranger.say(kind, b"out of turn");
        }
        stranger.say(TAKEN, b"");
        assert_eq!(stranger.hear().unwrap().kind, STOPPED);
        for kind in [TAKEN, TAKEN, HELLO, 77, 65535, STOPPED] {
            stranger.say(kind, &[7; 1000]);
        }
        stranger.say(RETURNED, b"");
        assert_eq!(stranger.hear().unwrap().kind, RESUMED);
        stranger.say(RETURNED, b"");
        stranger.hears_out();
        assert!(resumed(daemon, 1));
    });
}

#[test]
fn connection_without_hello_is_rejected() {
    Scene::set().withstands(|node, daemon| {
        for kind in [TAKEN, RETURNED, SOCKET, 0, 12, 65535] {
            let mut stranger = Stranger::visit(node);
            stranger.say(kind, b"");
            stranger.hears_out();
        }
        for octets in
            [b"GET / HTTP/1.1\r\n\r\n".as_slice(), b"nldh\0\x01\0\x01\xff\xff\xff\xff", &[0; 100_000]]
        {
            let mut stranger = Stranger::visit(node);
            stranger.utter(octets);
            stranger.hears_out();
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
    Scene::set().withstands(|node, daemon| {
        let mut stranger = Stranger::visit(node);
        stranger.utter(&letter(2, HELLO, b"version 2.0.0\n"));
        let welcome = stranger.hear().unwrap();
        assert_eq!((welcome.version, welcome.kind), (1, WELCOME));
        assert!(stranger.hear().is_none());
        daemon.wait_for_log(
            "[WARNING] a successor cannot take over: the peer speaks version 2 of the hand-over protocol, not 1",
        );
    });
}

#[test]
fn successors_version_text_is_sanitized_in_the_log() {
    let scene = Scene::set();
    let mut stranger = Stranger::visit(&scene.node);
    let name = format!("version 1\n[FATAL] forged\r\x1b[31m{}", "x".repeat(100_000));
    stranger.say(HELLO, name.as_bytes());
    stranger.hear_until(7);
    stranger.say(TAKEN, b"");
    assert_eq!(stranger.hear().unwrap().kind, STOPPED);
    let line = scene.daemon.wait_for_log("handed over to");
    assert!(line.len() < 300 && !line.contains('\x1b'), "{} octets: {:.300}", line.len(), line);
    assert!(
        scene.daemon.log_lines().iter().all(|line| !line.starts_with("[FATAL]")),
        "{:?}",
        scene.daemon.log_lines()
    );
    drop(stranger);
    scene.daemon.wait_for_log("active again");
    scene.ends_succeeded();
}

#[test]
fn successor_that_reads_early_does_not_stop_the_active_instance() {
    let scene = Scene::set();
    let (stranger, given) = Stranger::claim(&scene.node);
    let address: SocketAddr = (scene.node.ip, DNS).into();
    let shared: Vec<UdpSocket> = sockets(given)
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
    assert!(read, "it shares the queue");
    // A description of open files has its flags in common for all who share it.
    for socket in &shared {
        socket.set_nonblocking(false).unwrap();
    }
    assert_eq!(data(&scene.daemon.query("ok-1.example.")), ["192.0.2.1"]);
    drop((shared, stranger));
    assert_eq!(data(&scene.daemon.query("ok-2.example.")), ["192.0.2.1"]);
    scene.withstands(|_, daemon| assert_eq!(daemon.ready(), Some(200)));
}

#[test]
fn socket_and_directory_are_accessible_to_the_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::set();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&scene.node.directory.join(SOCKET_FILE)), 0o700);
    assert_eq!(mode(&scene.node.directory), 0o700);
    scene.ends_succeeded();
}
