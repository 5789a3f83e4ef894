//! Start after a predecessor that violates the hand-over protocol, is slow, or exits.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use testkit::client::uninterrupted;

use testkit::RecordType;
use testkit::client::QueryOptions;

use crate::fixture::{DNS, Node, WAIT_LIMIT, forward_corefile, upstream};
use crate::foreign_peer::{
    BLOCK, ENTRIES, ENTRIES_END, OFFERED, RESUMED, RETURNED, STOPPED, TAKEN, WELCOME, accept_successor,
    encode,
};
use crate::predecessor_fixture::{assert_starts, bind_sockets, not_used, offer_sockets};
use crate::responses::data;

#[test]
fn silent_predecessor_times_out_after_two_seconds() {
    assert_starts(&[not_used("no message from the peer for 2s")], |peer, _| peer.read_to_end());
}

#[test]
fn closed_connection_is_taken_for_an_exiting_predecessor() {
    let closed = "[INFO] the predecessor exited before its offer was complete".to_owned();
    assert_starts(&[closed], |peer, _| drop(peer));
}

#[test]
fn garbage_is_rejected_as_another_protocol() {
    let foreign = "the peer does not speak the hand-over protocol";
    for garbage in [b"GET / HTTP/1.1\r\n\r\n".as_slice(), &[0; 300_000]] {
        assert_starts(&[not_used(foreign)], move |mut peer, _| {
            peer.send_raw(garbage);
            peer.read_to_end();
        });
    }
}

#[test]
fn predecessor_of_another_version_is_started_beside() {
    let versions = "the peer speaks version 2 of the hand-over protocol, not 1";
    assert_starts(&[not_used(versions)], |mut peer, _| {
        peer.expect_hello();
        peer.send_raw(&encode(2, WELCOME, b"version 2.0.0\n"));
        peer.read_to_end();
    });
}

#[test]
fn excessive_and_zero_message_lengths_cause_no_wait() {
    assert_starts(&[not_used("a message of 4294967295 octets is too long")], |mut peer, _| {
        peer.send_raw(b"nldh\0\x01\0\x02\xff\xff\xff\xff");
        peer.read_to_end();
    });
    // Messages without octets: no version, no number.
    assert_starts(&[], |mut peer, _| {
        peer.expect_hello();
        for kind in [WELCOME, BLOCK, 0, 65535, OFFERED, ENTRIES, ENTRIES_END] {
            peer.send(kind, b"");
        }
        assert_eq!(peer.receive().unwrap().kind, TAKEN);
        peer.send(STOPPED, b"");
        peer.read_to_end();
    });
}

#[test]
fn incomplete_offer_is_discarded() {
    let closed = || ["[INFO] the predecessor exited before its offer was complete".to_owned()];
    assert_starts(&closed(), |mut peer, _| peer.send(WELCOME, b"version 1.0.0\n"));
    assert_starts(&closed(), |mut peer, address| {
        peer.send(WELCOME, b"version 1.0.0\n");
        offer_sockets(&mut peer, address);
    });
    assert_starts(&closed(), |mut peer, _| {
        peer.send(WELCOME, b"version 1.0.0\n");
        let message = encode(1, BLOCK, &[0; 64]);
        peer.send_raw(&message[..message.len() / 2]);
    });
    assert_starts(&closed(), |mut peer, _| peer.send_raw(b"nldh\0\x01"));
}

#[test]
fn sockets_of_a_complete_offer_outlive_the_predecessor() {
    let (incomplete, exited) = (
        "[WARNING] cache transfer from the predecessor is incomplete: the peer has closed the connection",
        "[INFO] the predecessor exited during the hand-over",
    );
    let received = "received 2 sockets";
    for (incomplete, further) in [
        (Some(incomplete), Vec::new()),
        (Some(incomplete), encode(1, ENTRIES, &[7; 100])[..50].to_vec()),
        (None, encode(1, ENTRIES_END, b"")),
    ] {
        let lines: Vec<String> =
            incomplete.into_iter().chain([received, exited]).map(str::to_owned).collect();
        assert_starts(&lines, move |mut peer, address| {
            peer.welcome();
            offer_sockets(&mut peer, address);
            peer.send(OFFERED, b"");
            peer.send_raw(&further);
        });
    }
}

#[test]
fn missing_stop_confirmation_is_logged_and_queued_queries_are_answered() {
    let (upstream, node) = (upstream(), Node::new());
    let address: SocketAddr = (node.ip, DNS).into();
    let offered = bind_sockets(address);
    let queued = UdpSocket::bind("127.0.0.1:0").unwrap();
    queued.set_read_timeout(Some(WAIT_LIMIT)).unwrap();
    let query =
        QueryOptions::default().message(77, "ok-queued.example.", RecordType::A).unwrap().to_vec().unwrap();
    queued.send_to(&query, address).unwrap();
    let peer = accept_successor(&node, move |mut peer| {
        peer.expect_hello();
        peer.send(WELCOME, b"version 1.0.0\naddress 192.0.2.9\naddress nonsense\n\xff\n");
        let [udp, tcp] = &offered;
        peer.send_socket(&format!("udp {address}"), &[udp.as_fd()]);
        peer.send_socket(&format!("tcp {address}"), &[tcp.as_fd()]);
        peer.send(OFFERED, b"");
        peer.send(ENTRIES_END, b"");
        assert_eq!(peer.receive().unwrap().kind, TAKEN);
        // It stops late, and serves again when the successor hands back.
        let returned = peer.receive().map(|message| message.kind);
        peer.send(STOPPED, b"");
        peer.send(RESUMED, b"");
        assert_eq!(returned, Some(RETURNED));
    });
    let daemon = node.command(&forward_corefile(&upstream, "")).spawn();
    daemon.wait_for_log("[WARNING] the predecessor has not confirmed that it stopped reading: no message from the peer for 2s");
    let daemon = daemon.wait_until_ready();
    let mut response = [0; 512];
    let length = uninterrupted(|| queued.recv(&mut response)).unwrap();
    assert_eq!((&response[..2], response[3] & 15, length > query.len()), ([0, 77].as_slice(), 0, true));
    assert_eq!(daemon.warnings().len(), 1, "{:?}", daemon.log_lines());
    assert_eq!(data(&daemon.query("ok-1.example.")), ["192.0.2.1"]);
    let end = daemon.terminate();
    assert_eq!(end.code, Some(0));
    assert!(end.stdout.iter().any(|line| line.contains("the predecessor keeps serving")), "{end:?}");
    peer.join().unwrap();
}
