//! One that starts, and somebody in the place of the instance in service who does not do as he should.

use std::fs::File;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, SockAddr, Socket, Type};
use testkit::RecordType;
use testkit::client::QueryOptions;

use crate::fixture::{DNS, DaemonProcess, Node, WAIT_LIMIT, forward_corefile, upstream};
use crate::foreign_peer::{
    BLOCK, ENTRIES, Letter, OFFERED, PACKED, RESUMED, RETURNED, SOCKET, STOPPED, Stranger, TAKEN, WELCOME,
    letter, pose,
};
use crate::responses::data;

/// What is said of one that gives nothing, around the reason.
fn refused(reason: &str) -> String {
    format!("[WARNING] the predecessor does not hand over: {reason}; starting beside it")
}

/// A daemon comes to serve whatever the stranger does, and says `lines` about it and nothing else that is a warning.
fn starts_in_spite_of(lines: &[String], conduct: impl FnOnce(Stranger, SocketAddr) + Send + 'static) {
    let (upstream, node) = (upstream(), Node::new());
    let address = (node.ip, DNS).into();
    let stranger = pose(&node, move |stranger| conduct(stranger, address));
    let daemon = node.command(&forward_corefile(&upstream, "")).spawn().wait_until_ready();
    assert_eq!(data(&daemon.query("ok-1.example.")), ["192.0.2.1"]);
    assert_eq!(data(&daemon.query_with("ok-2.example.", &QueryOptions::tcp())), ["192.0.2.1"]);
    for line in lines {
        daemon.wait_for_log(line);
    }
    stranger.join().unwrap();
    let warned = lines.iter().filter(|line| line.starts_with("[WARNING]")).count();
    assert_eq!(daemon.warnings().len(), warned, "{:?}", daemon.log_lines());
    let end = daemon.terminate();
    assert_eq!((end.code, end.stderr), (Some(0), Vec::new()));
    assert_eq!(node.files(), Vec::<String>::new());
}

/// UDP and TCP sockets as an instance in service has them.
fn sockets(address: SocketAddr) -> [Socket; 2] {
    [Type::DGRAM, Type::STREAM].map(|kind| {
        let socket = bound(kind, address);
        if kind == Type::STREAM {
            socket.listen(16).unwrap();
        }
        socket
    })
}

fn bound(kind: Type, address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, kind, None).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.bind(&SockAddr::from(address)).unwrap();
    socket
}

fn offer_sockets(stranger: &mut Stranger, address: SocketAddr) {
    let [udp, tcp] = sockets(address);
    stranger.pass(&format!("udp {address}"), &[udp.as_fd()]);
    stranger.pass(&format!("tcp {address}"), &[tcp.as_fd()]);
}

#[test]
fn silent_predecessor_times_out_after_two_seconds() {
    starts_in_spite_of(&[refused("no message from the peer for 2s")], |stranger, _| stranger.hears_out());
}

#[test]
fn closed_connection_is_taken_for_an_exiting_predecessor() {
    let left = "[INFO] the predecessor exited before its offer was complete".to_owned();
    starts_in_spite_of(&[left], |stranger, _| drop(stranger));
}

#[test]
fn garbage_is_rejected_as_another_protocol() {
    let foreign = "the peer does not speak the hand-over protocol";
    for garbage in [b"GET / HTTP/1.1\r\n\r\n".as_slice(), &[0; 300_000]] {
        starts_in_spite_of(&[refused(foreign)], move |mut stranger, _| {
            stranger.utter(garbage);
            stranger.hears_out();
        });
    }
}

#[test]
fn predecessor_of_another_version_is_started_beside() {
    let versions = "the peer speaks version 2 of the hand-over protocol, not 1";
    starts_in_spite_of(&[refused(versions)], |mut stranger, _| {
        stranger.is_greeted();
        stranger.utter(&letter(2, WELCOME, b"version 2.0.0\n"));
        stranger.hears_out();
    });
}

#[test]
fn excessive_and_zero_message_lengths_cause_no_wait() {
    starts_in_spite_of(&[refused("a message of 4294967295 octets is too long")], |mut stranger, _| {
        stranger.utter(b"nldh\0\x01\0\x02\xff\xff\xff\xff");
        stranger.hears_out();
    });
    // Nothing in any message: no version, no number, no octets.
    starts_in_spite_of(&[], |mut stranger, _| {
        stranger.is_greeted();
        for kind in [WELCOME, BLOCK, 0, 65535, OFFERED, ENTRIES, PACKED] {
            stranger.say(kind, b"");
        }
        assert_eq!(stranger.hear().unwrap().kind, TAKEN);
        stranger.say(STOPPED, b"");
        stranger.hears_out();
    });
}

#[test]
fn incomplete_offer_is_discarded() {
    let left = || ["[INFO] the predecessor exited before its offer was complete".to_owned()];
    starts_in_spite_of(&left(), |mut stranger, _| stranger.say(WELCOME, b"version 1.0.0\n"));
    starts_in_spite_of(&left(), |mut stranger, address| {
        stranger.say(WELCOME, b"version 1.0.0\n");
        offer_sockets(&mut stranger, address);
    });
    starts_in_spite_of(&left(), |mut stranger, _| {
        stranger.say(WELCOME, b"version 1.0.0\n");
        let message = letter(1, BLOCK, &[0; 64]);
        stranger.utter(&message[..message.len() / 2]);
    });
    starts_in_spite_of(&left(), |mut stranger, _| stranger.utter(b"nldh\0\x01"));
}

#[test]
fn sockets_of_a_complete_offer_outlive_the_predecessor() {
    let (torn, gone) = (
        "[WARNING] cache transfer from the predecessor is incomplete: the peer has closed the connection",
        "[INFO] the predecessor has exited",
    );
    let given = "received 2 sockets";
    for (torn, further) in [
        (Some(torn), Vec::new()),
        (Some(torn), letter(1, ENTRIES, &[7; 100])[..50].to_vec()),
        (None, letter(1, PACKED, b"")),
    ] {
        let lines: Vec<String> = torn.into_iter().chain([given, gone]).map(str::to_owned).collect();
        starts_in_spite_of(&lines, move |mut stranger, address| {
            stranger.is_greeted();
            stranger.say(WELCOME, b"version 1.0.0\n");
            offer_sockets(&mut stranger, address);
            stranger.say(OFFERED, b"");
            stranger.utter(&further);
        });
    }
}

#[test]
fn missing_stop_confirmation_is_logged_and_queued_queries_are_answered() {
    let (upstream, node) = (upstream(), Node::new());
    let address: SocketAddr = (node.ip, DNS).into();
    let offered = sockets(address);
    let queued = UdpSocket::bind("127.0.0.1:0").unwrap();
    queued.set_read_timeout(Some(WAIT_LIMIT)).unwrap();
    let query =
        QueryOptions::default().message(77, "ok-queued.example.", RecordType::A).unwrap().to_vec().unwrap();
    queued.send_to(&query, address).unwrap();
    let stranger = pose(&node, move |mut stranger| {
        stranger.is_greeted();
        stranger.say(WELCOME, b"version 1.0.0\naddress 192.0.2.9\naddress nonsense\n\xff\n");
        let [udp, tcp] = &offered;
        stranger.pass(&format!("udp {address}"), &[udp.as_fd()]);
        stranger.pass(&format!("tcp {address}"), &[tcp.as_fd()]);
        stranger.say(OFFERED, b"");
        stranger.say(PACKED, b"");
        assert_eq!(stranger.hear().unwrap().kind, TAKEN);
        // It stops all the same, and goes on when it is given back what it had.
        let returned = stranger.hear().map(|letter| letter.kind);
        stranger.say(STOPPED, b"");
        stranger.say(RESUMED, b"");
        assert_eq!(returned, Some(RETURNED));
    });
    let daemon = node.command(&forward_corefile(&upstream, "")).spawn();
    daemon.wait_for_log("[WARNING] the predecessor has not confirmed that it stopped reading: no message from the peer for 2s");
    let daemon = daemon.wait_until_ready();
    let mut answer = [0; 512];
    let length = queued.recv(&mut answer).unwrap();
    assert_eq!((&answer[..2], answer[3] & 15, length > query.len()), ([0, 77].as_slice(), 0, true));
    assert_eq!(daemon.warnings().len(), 1, "{:?}", daemon.log_lines());
    assert_eq!(data(&daemon.query("ok-1.example.")), ["192.0.2.1"]);
    let end = daemon.terminate();
    assert_eq!(end.code, Some(0));
    assert!(end.stdout.iter().any(|line| line.contains("the predecessor keeps serving")), "{end:?}");
    stranger.join().unwrap();
}

#[test]
fn descriptors_that_do_not_match_their_description_are_rejected() {
    let line = "[WARNING] 7 sockets of the predecessor are rejected; the first, \"udp ";
    starts_in_spite_of(&[line.to_owned(), "received 0 sockets".to_owned()], |mut stranger, address| {
        stranger.is_greeted();
        stranger.say(WELCOME, b"version 1.0.0\n");
        let (pipe, _writer) = std::io::pipe().unwrap();
        let file = File::open("/proc/self/status").unwrap();
        let elsewhere = bound(Type::DGRAM, (address.ip(), 5301).into());
        let deaf = bound(Type::STREAM, address);
        let given: [(&str, BorrowedFd<'_>); 7] = [
            ("udp", pipe.as_fd()),
            ("tcp", file.as_fd()),
            ("udp", elsewhere.as_fd()),
            ("tcp", deaf.as_fd()),
            ("tcp", elsewhere.as_fd()),
            ("quic", deaf.as_fd()),
            ("", deaf.as_fd()),
        ];
        for (word, descriptor) in given {
            stranger.pass(&format!("{word} {address}"), &[descriptor]);
        }
        stranger.say(OFFERED, b"");
        stranger.say(PACKED, b"");
        assert_eq!(stranger.hear().unwrap().kind, TAKEN);
        stranger.say(STOPPED, b"");
        stranger.hears_out();
    });
}

#[test]
fn hundreds_of_rejected_sockets_are_one_log_line() {
    let line = "[WARNING] 300 sockets of the predecessor are rejected; the first, ".to_owned();
    starts_in_spite_of(&[line], |mut stranger, _| {
        stranger.is_greeted();
        stranger.say(WELCOME, b"version 1.0.0\n");
        let (pipe, _writer) = std::io::pipe().unwrap();
        for _ in 0..300 {
            stranger.pass(&"x".repeat(2000), &[pipe.as_fd()]);
        }
        stranger.say(OFFERED, b"");
        stranger.say(PACKED, b"");
        assert_eq!(stranger.hear().unwrap().kind, TAKEN);
        stranger.say(STOPPED, b"");
        stranger.hears_out();
    });
}

#[test]
fn mismatch_of_descriptors_and_messages_is_rejected() {
    let apart = refused("messages and descriptors do not match");
    starts_in_spite_of(std::slice::from_ref(&apart), |mut stranger, address| {
        stranger.is_greeted();
        stranger.say(SOCKET, format!("udp {address}").as_bytes());
        stranger.hears_out();
    });
    starts_in_spite_of(&[apart], |mut stranger, address| {
        stranger.is_greeted();
        let [udp, _] = sockets(address);
        for _ in 0..5 {
            stranger.pass(&format!("udp {address}"), &[udp.as_fd(); 253]);
        }
        stranger.hears_out();
    });
}

#[test]
fn descriptors_beyond_the_process_limit_are_rejected() {
    let (upstream, node) = (upstream(), Node::new());
    let stranger = pose(&node, |mut stranger| {
        stranger.is_greeted();
        let (pipe, _writer) = std::io::pipe().unwrap();
        stranger.pass("udp 192.0.2.1:53", &[pipe.as_fd(); 253]);
        stranger.hears_out();
    });
    let command = node.command(&forward_corefile(&upstream, "")).descriptors(100);
    let daemon = command.spawn().wait_until_ready();
    daemon.wait_for_log("is the limit of open files reached?; starting beside it");
    stranger.join().unwrap();
    assert_eq!(data(&daemon.query("ok-1.example.")), ["192.0.2.1"]);
    assert_eq!(daemon.terminate().code, Some(0));
}

/// What a real instance gives that has answered for `ok-1.example` and `ok-2.example`, and is no more.
fn last_will(node: &Node, corefile: &str) -> Vec<Letter> {
    let before = node.command(corefile).spawn().wait_until_ready();
    for name in ["ok-1.example.", "ok-2.example."] {
        before.query(name);
    }
    let (_stranger, given) = Stranger::claim(node);
    assert_eq!(before.terminate().code, Some(0));
    // Its sockets would go on to be given a share of the questions.
    given.into_iter().map(|letter| Letter { descriptor: None, ..letter }).collect()
}

/// One entry in the message of many.
struct Parcel<'a> {
    octets: &'a [u8],
}

impl Parcel<'_> {
    fn split(mut octets: &[u8]) -> Vec<Parcel<'_>> {
        let mut parcels = Vec::new();
        while let Some((length, rest)) = octets.split_first_chunk() {
            let (parcel, rest) = rest.split_at(usize::try_from(u32::from_be_bytes(*length)).unwrap());
            parcels.push(Parcel { octets: parcel });
            octets = rest;
        }
        parcels
    }

    /// With other octets from `at` on.
    fn with(&self, at: usize, octets: &[u8]) -> Vec<u8> {
        let mut changed = self.octets.to_vec();
        changed[at..at + octets.len()].copy_from_slice(octets);
        Self::sealed(&changed)
    }

    fn key(&self) -> &[u8] {
        let length = u16::from_be_bytes([self.octets[23], self.octets[24]]);
        &self.octets[25..25 + usize::from(length)]
    }

    fn sealed(octets: &[u8]) -> Vec<u8> {
        [&u32::try_from(octets.len()).unwrap().to_be_bytes(), octets].concat()
    }
}

/// Starts a daemon with the cache of a predecessor that gives `entries` in its name.
fn started_with(node: &Node, corefile: &str, blocks: Vec<Vec<u8>>, entries: Vec<Vec<u8>>) -> DaemonProcess {
    let stranger = pose(node, move |mut stranger| {
        stranger.is_greeted();
        stranger.say(WELCOME, b"version 1.0.0\n");
        for block in blocks {
            stranger.say(BLOCK, &block);
        }
        stranger.say(OFFERED, b"");
        for octets in entries {
            stranger.say(ENTRIES, &octets);
        }
        stranger.say(PACKED, b"");
        assert_eq!(stranger.hear().unwrap().kind, TAKEN);
        stranger.say(STOPPED, b"");
    });
    let daemon = node.command(corefile).spawn().wait_until_ready();
    stranger.join().unwrap();
    daemon
}

#[test]
fn invalid_cache_entries_are_not_served() {
    let (upstream, node) = (upstream(), Node::new());
    let corefile = forward_corefile(&upstream, "");
    let given = last_will(&node, &corefile);
    let octets =
        |kind| given.iter().filter(move |letter| letter.kind == kind).map(|letter| letter.octets.clone());
    let (mut blocks, entries) =
        (octets(BLOCK).collect::<Vec<_>>(), octets(ENTRIES).collect::<Vec<_>>().concat());
    let parcels = Parcel::split(&entries);
    let [one, two] = parcels.as_slice() else { panic!("{} entries", parcels.len()) };
    // Its fingerprint under the last number there is, and blocks of nobody.
    blocks.extend([vec![0xff], [0xff; 70].to_vec(), [&[0xff, 0xff], &blocks[0][2..]].concat()]);
    let senseless = [
        one.with(25, two.key()),
        two.with(25, one.key()),
        one.with(0, &[0x12, 0x34]),
        one.with(2, &[0xff; 8]),
        one.with(14, &[7]),
        one.with(23, &[0xff, 0xff]),
        Parcel::sealed(&[]),
        Parcel::sealed(&[0; 25]),
        Parcel::sealed(&[0xa5; 3000]),
    ];
    let count = senseless.len();
    let torn = [0xff; 100].to_vec();
    let daemon = started_with(&node, &corefile, blocks.clone(), vec![senseless.concat(), torn]);
    daemon.wait_for_log(&format!("received 0 sockets and 0 cache entries ({count} rejected)"));
    assert_eq!(daemon.warnings(), Vec::<String>::new());
    let asked = upstream.queries().len();
    for name in ["ok-1.example.", "ok-2.example."] {
        assert_eq!(data(&daemon.query(name)), ["192.0.2.1"]);
    }
    assert_eq!(upstream.queries().len(), asked + 2);
    assert_eq!(daemon.terminate().code, Some(0));
    // What makes sense is told, under any number, but never for longer than this instance would.
    let sound = [one.with(10, &[0xff; 4]), two.with(0, &[0xff, 0xff])].concat();
    let daemon = started_with(&node, &corefile, blocks, vec![sound]);
    daemon.wait_for_log("and 2 cache entries (0 rejected)");
    for name in ["ok-1.example.", "ok-2.example."] {
        let reply = daemon.query(name);
        assert!(reply.message.answers[0].ttl <= 30, "{reply:?}");
    }
    assert_eq!(upstream.queries().len(), asked + 2);
    assert_eq!(daemon.terminate().code, Some(0));
}
