//! Descriptors from a predecessor that are not the sockets they should be.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};

use socket2::Type;

use crate::fixture::{Node, forward_corefile, upstream};
use crate::foreign_peer::{SOCKET, accept_successor};
use crate::predecessor_fixture::{assert_starts, bind, bind_sockets, not_used};
use crate::responses::data;

#[test]
fn descriptors_that_do_not_match_their_description_are_rejected() {
    let line = "[WARNING] 7 sockets of the predecessor are rejected; the first, \"udp ";
    assert_starts(&[line.to_owned(), "received 0 sockets".to_owned()], |mut peer, address| {
        peer.welcome();
        let (pipe, _writer) = std::io::pipe().unwrap();
        let file = File::open("/proc/self/status").unwrap();
        let elsewhere = bind(Type::DGRAM, (address.ip(), 5301).into());
        let not_listening = bind(Type::STREAM, address);
        let descriptors: [(&str, BorrowedFd<'_>); 7] = [
            ("udp", pipe.as_fd()),
            ("tcp", file.as_fd()),
            ("udp", elsewhere.as_fd()),
            ("tcp", not_listening.as_fd()),
            ("tcp", elsewhere.as_fd()),
            ("quic", not_listening.as_fd()),
            ("", not_listening.as_fd()),
        ];
        for (word, descriptor) in descriptors {
            peer.send_socket(&format!("{word} {address}"), &[descriptor]);
        }
        peer.complete_offer();
    });
}

#[test]
fn hundreds_of_rejected_sockets_are_one_log_line() {
    let line = "[WARNING] 300 sockets of the predecessor are rejected; the first, ".to_owned();
    assert_starts(&[line], |mut peer, _| {
        peer.welcome();
        let (pipe, _writer) = std::io::pipe().unwrap();
        for _ in 0..300 {
            peer.send_socket(&"x".repeat(2000), &[pipe.as_fd()]);
        }
        peer.complete_offer();
    });
}

#[test]
fn mismatch_of_descriptors_and_messages_is_rejected() {
    let mismatch = not_used("messages and descriptors do not match");
    assert_starts(std::slice::from_ref(&mismatch), |mut peer, address| {
        peer.expect_hello();
        peer.send(SOCKET, format!("udp {address}").as_bytes());
        peer.read_to_end();
    });
    assert_starts(&[mismatch], |mut peer, address| {
        peer.expect_hello();
        let [udp, _] = bind_sockets(address);
        for _ in 0..5 {
            peer.send_socket(&format!("udp {address}"), &[udp.as_fd(); 253]);
        }
        peer.read_to_end();
    });
}

#[test]
fn descriptors_beyond_the_process_limit_are_rejected() {
    let (upstream, node) = (upstream(), Node::new());
    let peer = accept_successor(&node, |mut peer| {
        peer.expect_hello();
        let (pipe, _writer) = std::io::pipe().unwrap();
        peer.send_socket("udp 192.0.2.1:53", &[pipe.as_fd(); 253]);
        peer.read_to_end();
    });
    let command = node.command(&forward_corefile(&upstream, "")).descriptors(100);
    let daemon = command.spawn().wait_until_ready();
    daemon.wait_for_log("is the limit of open files reached?; starting beside it");
    peer.join().unwrap();
    assert_eq!(data(&daemon.query("ok-1.example.")), ["192.0.2.1"]);
    assert_eq!(daemon.terminate().code, Some(0));
}
