//! Comparison of responses: response code, flags, OPT, TTLs, and the records of each section as sets.

use std::collections::BTreeSet;

use tools::message::{Message, Record, RecordContent, flag};
use tools::question::{CH, Question};
use tools::variants::VARIANTS;

use crate::difference::Difference;
use crate::questions::Step;

const FLAGS: [(&str, u16); 7] = [
    ("AA", flag::AA),
    ("TC", flag::TC),
    ("RD", flag::RD),
    ("RA", flag::RA),
    ("Z", flag::Z),
    ("AD", flag::AD),
    ("CD", flag::CD),
];
const SECTIONS: [&str; 3] = ["answer", "authority", "additional"];
const RCODES: [&str; 6] = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];
const SOA: u16 = 6;
const TXT: u16 = 16;

/// A step and the two responses to it.
struct Pair<'a> {
    step: &'a Step,
    theirs: &'a Message,
    ours: &'a Message,
    found: Vec<Difference>,
}

/// The differences between the responses to one step.
pub(crate) fn compare(
    step: &Step,
    theirs: &Result<Message, String>,
    ours: &Result<Message, String>,
) -> Vec<Difference> {
    let (theirs, ours) = match (theirs, ours) {
        (Ok(theirs), Ok(ours)) => (theirs, ours),
        (Err(_), Err(_)) => return Vec::new(),
        (Ok(_), Err(error)) => {
            return vec![Difference::new("response: one -> none".to_owned(), describe(step, error))];
        }
        (Err(error), Ok(_)) => {
            return vec![Difference::new("response: none -> one".to_owned(), describe(step, error))];
        }
    };
    let mut pair = Pair { step, theirs, ours, found: Vec::new() };
    pair.header();
    pair.opt();
    pair.records();
    pair.found
}

impl Pair<'_> {
    fn add(&mut self, text: &str, detail: &str) {
        self.found.push(Difference::new(format!("response: {text}"), describe(self.step, detail)));
    }

    /// `first` or `repeated`, and the response code if both agree.
    fn context(&self) -> String {
        let time = if self.step.repeated { "repeated" } else { "first" };
        let empty = if self.theirs.records().count() == 0 { ", without records" } else { "" };
        format!("{time} {}{empty}", rcode(self.theirs.rcode))
    }

    fn header(&mut self) {
        let (theirs, ours) = (self.theirs, self.ours);
        if theirs.rcode != ours.rcode {
            self.add(&format!("{} -> {}", rcode(theirs.rcode), rcode(ours.rcode)), &self.context());
        }
        if theirs.question != ours.question {
            self.add("question section", "");
        }
        for (name, bit) in FLAGS {
            let state = |message: &Message| if message.has(bit) { "set" } else { "clear" };
            if theirs.has(bit) != ours.has(bit) {
                let text = format!("{name} {} -> {}, {}", state(theirs), state(ours), self.context());
                self.add(&text, "");
            }
        }
    }

    fn opt(&mut self) {
        let (theirs, ours) = match (&self.theirs.opt, &self.ours.opt) {
            (Some(theirs), Some(ours)) => (theirs, ours),
            (None, None) => return,
            (Some(_), None) => return self.add("OPT -> none", ""),
            (None, Some(_)) => return self.add("no OPT -> OPT", ""),
        };
        if theirs.udp_size != ours.udp_size {
            self.add(&format!("OPT size {} -> {}", theirs.udp_size, ours.udp_size), "");
        }
        if (theirs.version, theirs.flags) != (ours.version, ours.flags) {
            self.add("version or flags of OPT", &format!("{theirs:?} {ours:?}"));
        }
        let codes = |options: &[(u16, Vec<u8>)]| {
            let codes: BTreeSet<String> = options.iter().map(option_name).collect();
            codes.into_iter().collect::<Vec<_>>().join(" ")
        };
        let (theirs, ours) = (codes(&theirs.options), codes(&ours.options));
        if theirs != ours {
            self.add(&format!("options [{theirs}] -> [{ours}], {}", self.context()), "");
        }
    }

    fn records(&mut self) {
        let (theirs, ours) = (self.theirs, self.ours);
        if theirs.has(flag::TC) || ours.has(flag::TC) {
            // How many records fit is compared by scripts/differential.
            return;
        }
        let Question { name: qname, class, .. } = &self.step.question;
        let in_chaos = if *class == CH { format!("CH {qname} ") } else { String::new() };
        for ((section, theirs), ours) in SECTIONS.iter().zip(&theirs.sections).zip(&ours.sections) {
            let (there, here) = (contents(theirs), contents(ours));
            for (sign, records) in [("missing", there.difference(&here)), ("added", here.difference(&there))]
            {
                for record in records {
                    let text = format!("{section} {in_chaos}TYPE{} {sign}, {}", record.rtype, self.context());
                    self.add(&text, &format!("{} {:?}", name(&record.owner), record.rdata));
                }
            }
        }
        self.ttls();
    }

    /// Both count whole seconds from different moments, so that one second is no difference.
    fn ttls(&mut self) {
        let (Some(theirs), Some(ours)) = (ttl(self.theirs), ttl(self.ours)) else { return };
        if theirs.abs_diff(ours) <= 1 || self.step.aged {
            return;
        }
        let minimum = soa_minimum(self.ours);
        let text = match minimum {
            Some(minimum) if minimum.abs_diff(ours) <= 1 => "TTL -> MINIMUM of the SOA".to_owned(),
            _ => format!("TTL, {}", self.context()),
        };
        self.add(&text, &format!("{theirs} -> {ours}"));
    }
}

/// The lowest TTL; both caches give all records the same.
fn ttl(message: &Message) -> Option<u32> {
    message.records().map(|record| record.ttl).min()
}

fn soa_minimum(message: &Message) -> Option<u32> {
    let [_, authority, _] = &message.sections;
    let soa = authority.iter().find(|record| record.exact.rtype == SOA)?;
    Some(u32::from_be_bytes(*soa.exact.rdata.last_chunk()?))
}

fn contents(section: &[Record]) -> BTreeSet<RecordContent> {
    section.iter().map(|record| without_version(&record.folded)).collect()
}

/// The record without program and version in the text of `chaos`: `NAME-NUMBER.NUMBER.NUMBER`.
fn without_version(record: &RecordContent) -> RecordContent {
    let mut record = record.clone();
    let text = record.rdata.get(1..).map(String::from_utf8_lossy).unwrap_or_default();
    let is_version = |text: &str| {
        let version = ["coredns-", "nodelocaldns-"].iter().find_map(|name| text.strip_prefix(name));
        version.is_some_and(|version| {
            let numbers: Vec<&str> = version.split('.').collect();
            numbers.len() == 3 && numbers.iter().all(|number| number.parse::<u16>().is_ok())
        })
    };
    if (record.class, record.rtype) == (CH, TXT) && is_version(&text.to_lowercase()) {
        record.rdata = b"VERSION".to_vec();
    }
    record
}

fn option_name((code, data): &(u16, Vec<u8>)) -> String {
    match (code, data.as_slice()) {
        (15, [high, low, ..]) => format!("EDE{}", u16::from_be_bytes([*high, *low])),
        (code, _) => code.to_string(),
    }
}

fn rcode(code: u16) -> String {
    let name = RCODES.get(usize::from(code)).map(|name| (*name).to_owned());
    name.unwrap_or_else(|| format!("RCODE{code}"))
}

fn describe(step: &Step, detail: &str) -> String {
    let variant = VARIANTS.get(step.variant).map_or("", |variant| variant.name);
    let time = if step.repeated { "repeated" } else { "first" };
    let Question { name, rtype, class } = &step.question;
    format!("{name} CLASS{class} TYPE{rtype} @{}, {variant}, {time}: {detail}", step.server)
}

/// A name in wire form as text.
fn name(octets: &[u8]) -> String {
    let mut text = String::new();
    let mut rest = octets;
    while let Some((length, tail)) = rest.split_first()
        && let Some((label, tail)) = tail.split_at_checked(usize::from(*length))
        && *length > 0
    {
        text.push_str(&String::from_utf8_lossy(label));
        text.push('.');
        rest = tail;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(repeated: bool) -> Step {
        let question = Question::new("a.", "A").unwrap();
        Step { server: ([127, 0, 0, 1], 53).into(), question, variant: 0, repeated, aged: false }
    }

    /// A response for `a. A` with an address and this TTL.
    fn message(flags: u16, ttl: u8, last: u8) -> Result<Message, String> {
        let [high, low] = flags.to_be_bytes();
        let mut octets = vec![0, 1, high, low, 0, 1, 0, 1, 0, 0, 0, 0, 1, b'a', 0, 0, 1, 0, 1];
        octets.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, ttl, 0, 4, 192, 0, 2, last]);
        Message::parse(&octets).map_err(str::to_owned)
    }

    fn texts(theirs: &Result<Message, String>, ours: &Result<Message, String>) -> Vec<String> {
        compare(&step(true), theirs, ours).into_iter().map(|difference| difference.text).collect()
    }

    #[test]
    fn equal_responses_have_no_difference() {
        assert!(texts(&message(0x8180, 30, 1), &message(0x8180, 29, 1)).is_empty());
    }

    #[test]
    fn flags_codes_records_and_ttls_are_compared() {
        let theirs = message(0x8580, 30, 1);
        assert_eq!(texts(&theirs, &message(0x8180, 30, 1)), ["response: AA set -> clear, repeated NOERROR"]);
        assert_eq!(texts(&theirs, &message(0x8580, 28, 1)), ["response: TTL, repeated NOERROR"]);
        assert_eq!(
            texts(&theirs, &message(0x8580, 30, 2)),
            [
                "response: answer TYPE1 missing, repeated NOERROR",
                "response: answer TYPE1 added, repeated NOERROR"
            ]
        );
        assert_eq!(texts(&theirs, &message(0x8582, 30, 1)), ["response: NOERROR -> SERVFAIL"]);
        assert_eq!(texts(&theirs, &Err("timeout".to_owned())), ["response: one -> none"]);
    }
}
