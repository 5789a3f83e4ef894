//! Message to text: equal messages have equal text.

use std::fmt::Write;

use hickory_proto::op::{Message, MessageType};
use hickory_proto::rr::rdata::{HINFO, TXT};
use hickory_proto::rr::{DNSClass, RData, Record, RecordType};
use wire::header::Rcode;

use super::opt;

/// Formats a message in lines: header, question, records of each section, OPT. Two messages that
/// differ in anything but name compression differ in their text.
pub fn format(message: &Message) -> String {
    let mut text = header(message);
    for query in &message.queries {
        let (name, qtype) = (&query.name, rtype(query.query_type));
        push(&mut text, format_args!("\n  question   {name} {}{qtype}", class(query.query_class)));
    }
    let sections = [
        ("answer    ", &message.answers),
        ("authority ", &message.authorities),
        ("additional", &message.additionals),
    ];
    for (section, records) in sections {
        for entry in records {
            push(&mut text, format_args!("\n  {section} {}", record(entry)));
        }
    }
    if let Some(edns) = &message.edns {
        push(&mut text, format_args!("\n  {}", opt::format(edns)));
    }
    if message.signature.is_some() {
        text.push_str("\n  signature");
    }
    text
}

fn header(message: &Message) -> String {
    let metadata = &message.metadata;
    let rcode = Rcode(metadata.response_code.into());
    let mut text = format!("id={}", metadata.id);
    push(&mut text, format_args!(" {rcode}"));
    let opcode = u8::from(metadata.op_code);
    if opcode != 0 {
        push(&mut text, format_args!(" opcode={opcode}"));
    }
    let flags = [
        ("qr", metadata.message_type == MessageType::Response),
        ("aa", metadata.authoritative),
        ("tc", metadata.truncation),
        ("rd", metadata.recursion_desired),
        ("ra", metadata.recursion_available),
        ("ad", metadata.authentic_data),
        ("cd", metadata.checking_disabled),
    ];
    for (flag, _) in flags.iter().filter(|(_, on)| *on) {
        push(&mut text, format_args!(" {flag}"));
    }
    text
}

fn record(record: &Record) -> String {
    let Record { name, ttl, dns_class, data, .. } = record;
    format!("{name} {ttl} {}{} {}", class(*dns_class), rtype(data.record_type()), rdata(data))
}

fn class(class: DNSClass) -> String {
    match class {
        DNSClass::IN => String::new(),
        DNSClass::Unknown(number) => format!("CLASS{number} "),
        known => format!("{known} "),
    }
}

fn rtype(rtype: RecordType) -> String {
    match rtype {
        RecordType::Unknown(number) => format!("TYPE{number}"),
        known => known.to_string(),
    }
}

fn rdata(data: &RData) -> String {
    match data {
        RData::TXT(TXT { txt_data, .. }) => {
            let strings: Vec<String> = txt_data.iter().map(|string| quoted(string)).collect();
            strings.join(" ")
        }
        RData::HINFO(HINFO { cpu, os, .. }) => format!("{} {}", quoted(cpu), quoted(os)),
        RData::Unknown { rdata, .. } | RData::NULL(rdata) => unknown(&rdata.anything),
        known => known.to_string(),
    }
}

fn quoted(string: &[u8]) -> String {
    format!("\"{}\"", string.escape_ascii())
}

fn unknown(octets: &[u8]) -> String {
    let hex: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    format!("\\# {} {hex}", octets.len())
}

/// Appends; writing to a `String` does not fail.
fn push(text: &mut String, more: std::fmt::Arguments<'_>) {
    if text.write_fmt(more).is_err() {
        text.push('?');
    }
}
