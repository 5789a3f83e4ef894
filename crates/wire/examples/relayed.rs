//! Responses as upstreams send them, and what clients get of them, for other programs to read
//! (`scripts/fuzz readers`).
//!
//! Usage: `relayed COUNT SEED PREFIX FILE...`. Each file is a response behind PREFIX octets. Of these
//! and of COUNT changed ones, it writes to standard output those that are relayed: as many octets as a
//! prefix of four says for the response of the upstream, the response of the client, and what
//! hickory-proto and `domain` read in each of the two, as text.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a program for tests, which ends on an error"
)]

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};
use std::{env, fs};

use domain::base::Message as DomainMessage;
use domain::base::iana::Rtype;
use domain::base::name::{ParsedName, ToName};
use domain::rdata::AllRecordData;
use hickory_proto::op::Message;
use hickory_proto::serialize::binary::BinEncodable;
use wire::answer::{ResponseOptions, ResponseTtl};
use wire::edns::Edns;
use wire::header::Flags;
use wire::query::RequestHeader;
use wire::{Answer, Response};

/// Octets of a changed response at most.
const MAX_LEN: usize = 4096;

/// Random numbers (xorshift), equal for equal seeds.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap().checked_rem(end).unwrap_or(0)
    }

    /// `octets` with a few changes.
    fn change(&mut self, octets: &[u8]) -> Vec<u8> {
        const VALUES: [u8; 10] = [0, 1, 12, 0x3f, 0x40, 0x80, 0xc0, 0xfe, 0xff, 4];
        let mut changed = octets.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(changed.len());
            match self.below(8) {
                0 => changed.truncate(at.max(12)),
                1 => changed.insert(at, VALUES[self.below(VALUES.len())]),
                2 if changed.len() > 13 => drop(changed.remove(at)),
                3 => {
                    let end = (at + 1 + self.below(40)).min(changed.len());
                    let copied = changed[at..end].to_vec();
                    let to = self.below(changed.len());
                    changed.splice(to..to, copied);
                }
                4 => changed[at] ^= 1 << self.below(8),
                _ => changed[at] = VALUES[self.below(VALUES.len())],
            }
        }
        changed.truncate(MAX_LEN);
        changed
    }
}

/// Question in lower case, response code, and the TTLs of each section without OPT.
fn text(question: &[u8], rcode: u16, sections: &[Vec<u32>; 3]) -> String {
    let mut text = String::new();
    question.iter().for_each(|octet| write!(text, "{:02x}", octet.to_ascii_lowercase()).unwrap());
    write!(text, " {}", rcode & 0xf).unwrap();
    sections.iter().for_each(|ttls| write!(text, " {}{ttls:?}", ttls.len()).unwrap());
    text.replace(", ", ",")
}

/// As hickory-proto reads it; empty when it does not.
fn by_hickory(packet: &[u8]) -> String {
    let Ok(message) = Message::from_vec(packet) else { return String::new() };
    let [query] = message.queries.as_slice() else { return String::new() };
    let sections = [&message.answers, &message.authorities, &message.additionals];
    let mut question = query.name.to_lowercase().to_bytes().unwrap();
    question.extend(u16::from(query.query_type).to_be_bytes());
    question.extend(u16::from(query.query_class).to_be_bytes());
    let rcode = u16::from(message.metadata.response_code);
    text(&question, rcode, &sections.map(|records| records.iter().map(|record| record.ttl).collect()))
}

/// As `domain` reads it; empty when it does not.
fn by_domain(packet: &[u8]) -> String {
    read_by_domain(packet).unwrap_or_default()
}

fn read_by_domain(packet: &[u8]) -> Option<String> {
    let message = DomainMessage::from_octets(packet).ok()?;
    let question = message.sole_question().ok()?;
    let (_, answer, authority, additional) = message.sections().ok()?;
    let mut sections: [Vec<u32>; 3] = [vec![], vec![], vec![]];
    for (ttls, section) in sections.iter_mut().zip([answer, authority, additional]) {
        for record in section {
            let record = record.ok()?;
            if record.rtype() != Rtype::OPT {
                record.to_any_record::<AllRecordData<_, ParsedName<_>>>().ok()?;
                ttls.push(record.ttl().as_secs());
            }
        }
    }
    let mut wire = question.qname().to_vec().as_slice().to_vec();
    wire.extend(question.qtype().to_int().to_be_bytes());
    wire.extend(question.qclass().to_int().to_be_bytes());
    Some(text(&wire, message.header().rcode().to_int().into(), &sections))
}

/// What a client gets of a response, with OPT over TCP or without over UDP; `None` if it is not relayed.
fn relay(packet: &[u8], over_tcp: bool) -> Option<Vec<u8>> {
    let response = Response::parse(packet).ok()?;
    let answer = Answer::from_response(&response);
    let answer = answer.borrowed();
    let end = 12 + answer.question()?.0.len() + 4;
    let edns = Edns { udp_size: 1232, version: 0, dnssec_ok: true, keepalive_len: None, wants_nsid: false };
    let edns = over_tcp.then_some(edns);
    let request = RequestHeader { id: 7, flags: Flags::RD, question: packet.get(12..end)?, edns };
    let mut out = Vec::new();
    let limit = if over_tcp { usize::from(u16::MAX) } else { 512 };
    answer.write(&request, ResponseOptions::new(ResponseTtl::AsReceived, limit), &mut out);
    Some(out)
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [count, seed, prefix, files @ ..] = arguments.as_slice() else {
        return Err(io::Error::other("relayed COUNT SEED PREFIX FILE..."));
    };
    let (count, prefix): (usize, usize) = (count.parse().unwrap(), prefix.parse().unwrap());
    let inputs: Vec<Vec<u8>> = files
        .iter()
        .map(|file| Ok(fs::read(file)?.get(prefix..).unwrap_or_default().to_vec()))
        .collect::<io::Result<_>>()?;
    let inputs: Vec<Vec<u8>> = inputs.into_iter().filter(|input| input.len() > 12).collect();
    let mut random = Random(seed.parse::<u64>().unwrap() | 1 << 40);
    let mut out = BufWriter::new(io::stdout().lock());
    for number in 0..inputs.len() + count {
        let packet = match inputs.get(number) {
            Some(input) => input.clone(),
            None => {
                let chosen = random.below(inputs.len());
                random.change(&inputs[chosen])
            }
        };
        for over_tcp in [true, false] {
            let Some(relayed) = relay(&packet, over_tcp) else { continue };
            let texts = [by_hickory(&packet), by_hickory(&relayed), by_domain(&packet), by_domain(&relayed)];
            for part in [&packet[..], &relayed].into_iter().chain(texts.iter().map(String::as_bytes)) {
                out.write_all(&u32::try_from(part.len()).unwrap().to_be_bytes())?;
                out.write_all(part)?;
            }
        }
    }
    out.flush()
}
