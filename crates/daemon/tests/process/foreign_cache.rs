//! Cache entries from a predecessor that are invalid.

use crate::fixture::{DaemonProcess, Node, forward_corefile, upstream};
use crate::foreign_peer::{
    BLOCK, ENTRIES, ENTRIES_END, ForeignPeer, Message, OFFERED, STOPPED, TAKEN, accept_successor,
};
use crate::responses::data;

/// The offer of a daemon with cache entries for `ok-1.example` and `ok-2.example`, which has
/// exited.
fn recorded_offer(node: &Node, corefile: &str) -> Vec<Message> {
    let daemon = node.command(corefile).spawn().wait_until_ready();
    for name in ["ok-1.example.", "ok-2.example."] {
        daemon.query(name);
    }
    let (_peer, offer) = ForeignPeer::request_offer(node);
    assert_eq!(daemon.terminate().code, Some(0));
    // Open duplicates of its sockets would receive a share of the queries.
    offer.into_iter().map(|message| Message { descriptor: None, ..message }).collect()
}

/// A cache entry record in an `ENTRIES` message.
struct Record<'a> {
    octets: &'a [u8],
}

impl Record<'_> {
    fn split(mut octets: &[u8]) -> Vec<Record<'_>> {
        let mut records = Vec::new();
        while let Some((length, rest)) = octets.split_first_chunk() {
            let (record, rest) = rest.split_at(usize::try_from(u32::from_be_bytes(*length)).unwrap());
            records.push(Record { octets: record });
            octets = rest;
        }
        records
    }

    /// Encodes the record with other octets from `at` on.
    fn with(&self, at: usize, octets: &[u8]) -> Vec<u8> {
        let mut changed = self.octets.to_vec();
        changed[at..at + octets.len()].copy_from_slice(octets);
        Self::encode(&changed)
    }

    fn key(&self) -> &[u8] {
        let length = u16::from_be_bytes([self.octets[23], self.octets[24]]);
        &self.octets[25..25 + usize::from(length)]
    }

    fn encode(octets: &[u8]) -> Vec<u8> {
        [&u32::try_from(octets.len()).unwrap().to_be_bytes(), octets].concat()
    }
}

/// Starts a daemon after a predecessor with these blocks and entries.
fn start_with_cache(
    node: &Node,
    corefile: &str,
    blocks: Vec<Vec<u8>>,
    entries: Vec<Vec<u8>>,
) -> DaemonProcess {
    let peer = accept_successor(node, move |mut peer| {
        peer.welcome();
        for block in blocks {
            peer.send(BLOCK, &block);
        }
        peer.send(OFFERED, b"");
        for octets in entries {
            peer.send(ENTRIES, &octets);
        }
        peer.send(ENTRIES_END, b"");
        assert_eq!(peer.receive().unwrap().kind, TAKEN);
        peer.send(STOPPED, b"");
    });
    let daemon = node.command(corefile).spawn().wait_until_ready();
    peer.join().unwrap();
    daemon
}

#[test]
fn invalid_cache_entries_are_not_served() {
    let (upstream, node) = (upstream(), Node::new());
    let corefile = forward_corefile(&upstream, "");
    let offer = recorded_offer(&node, &corefile);
    let octets =
        |kind| offer.iter().filter(move |message| message.kind == kind).map(|message| message.octets.clone());
    let (mut blocks, entries) =
        (octets(BLOCK).collect::<Vec<_>>(), octets(ENTRIES).collect::<Vec<_>>().concat());
    let records = Record::split(&entries);
    let [one, two] = records.as_slice() else { panic!("{} entries", records.len()) };
    // Unknown blocks, and the known fingerprint under the highest number.
    blocks.extend([vec![0xff], [0xff; 70].to_vec(), [&[0xff, 0xff], &blocks[0][2..]].concat()]);
    let invalid = [
        one.with(25, two.key()),
        two.with(25, one.key()),
        one.with(0, &[0x12, 0x34]),
        one.with(2, &[0xff; 8]),
        one.with(14, &[7]),
        one.with(23, &[0xff, 0xff]),
        Record::encode(&[]),
        Record::encode(&[0; 25]),
        Record::encode(&[0xa5; 3000]),
    ];
    let count = invalid.len();
    let truncated = [0xff; 100].to_vec();
    let daemon = start_with_cache(&node, &corefile, blocks.clone(), vec![invalid.concat(), truncated]);
    daemon.wait_for_log(&format!("received 0 sockets and 0 cache entries ({count} rejected)"));
    assert_eq!(daemon.warnings(), Vec::<String>::new());
    let queries = upstream.queries().len();
    for name in ["ok-1.example.", "ok-2.example."] {
        assert_eq!(data(&daemon.query(name)), ["192.0.2.1"]);
    }
    assert_eq!(upstream.queries().len(), queries + 2);
    assert_eq!(daemon.terminate().code, Some(0));
    // Valid entries are imported, under any block number, with their TTL capped by our own
    // settings.
    let valid = [one.with(10, &[0xff; 4]), two.with(0, &[0xff, 0xff])].concat();
    let daemon = start_with_cache(&node, &corefile, blocks, vec![valid]);
    daemon.wait_for_log("and 2 cache entries (0 rejected)");
    for name in ["ok-1.example.", "ok-2.example."] {
        let reply = daemon.query(name);
        assert!(reply.message.answers[0].ttl <= 30, "{reply:?}");
    }
    assert_eq!(upstream.queries().len(), queries + 2);
    assert_eq!(daemon.terminate().code, Some(0));
}
