//! Captured messages are parsed as the files of `tests/packets` expect.

use wire::name::{NameBuffer, PresentationFormat};
use wire::{Query, Response};

use crate::packets::packets;

fn query_as_text(packet: &[u8]) -> String {
    let mut buffer = NameBuffer::new();
    let query = match Query::parse(packet, &mut buffer) {
        Ok(query) => query,
        Err(rejection) => return format!("{rejection:?}"),
    };
    let name = PresentationFormat(query.name.as_wire());
    let mut text = format!("Query {name} {} {} {:04x}", query.qtype, query.qclass, query.header.flags.0);
    if let Some(edns) = query.header.edns {
        text += &format!(" size={}", edns.udp_size);
        text += if edns.dnssec_ok { " do" } else { "" };
    }
    text
}

fn response_as_text(packet: &[u8]) -> String {
    let Ok(response) = Response::parse(packet) else {
        return "Malformed".to_owned();
    };
    let header = response.header;
    let opt = u16::from(packet.windows(3).any(|octets| octets == [0, 0, 41]));
    let records = header.ancount + header.nscount + header.arcount - opt;
    let ttl = response.min_ttl.map_or_else(|| "-".to_owned(), |ttl| ttl.to_string());
    format!("{:?} {} records={records} ttl={ttl}", response.response_type, response.rcode)
}

#[test]
fn captured_messages_are_parsed_as_expected() {
    let packets = packets();
    assert!(packets.len() > 50, "only {} captured messages were found", packets.len());
    let mut wrong = Vec::new();
    for (file, expected, packet) in packets {
        let parsed = match file.split_once('-').unwrap().0 {
            "query" => query_as_text(&packet),
            _ => response_as_text(&packet),
        };
        if parsed != expected {
            wrong.push(format!("{file}: {parsed}, expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn captured_responses_are_not_queries_nor_queries_responses() {
    for (file, _, packet) in packets() {
        match file.split_once('-').unwrap().0 {
            "query" => assert!(Response::parse(&packet).is_err(), "{file}"),
            _ => assert_eq!(
                Query::parse(&packet, &mut NameBuffer::new()).unwrap_err(),
                wire::query::Rejection::Drop,
                "{file}"
            ),
        }
    }
}
