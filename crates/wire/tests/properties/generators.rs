//! Generators of messages: valid, mutated, and noise after a plausible header.

use std::collections::HashMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// A name as labels without the root.
type Labels = Vec<Vec<u8>>;

/// RDATA before compression; names are indices into the message's names.
#[derive(Clone, Debug)]
pub(crate) enum Rdata {
    Opaque(u16, Vec<u8>),
    /// Type, octets before the names, names, octets after them.
    Names(u16, Vec<u8>, Vec<Index>, Vec<u8>),
}

/// A record before encoding.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    section: usize,
    owner: Index,
    ttl: u32,
    rdata: Rdata,
}

/// OPT before encoding: size, the four octets of the TTL, options, index in the additional section.
type Opt = (u16, u32, Vec<(u16, Vec<u8>)>, Index);

/// A message before encoding.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    id: u16,
    flags: u16,
    names: Vec<Labels>,
    qtype: u16,
    qclass: u16,
    records: Vec<Record>,
    opt: Option<Opt>,
    /// OPT records in the answer or the authority section.
    misplaced: Vec<(usize, Opt)>,
    /// A bit per written name: whether it may be compressed.
    compressed: u64,
}

fn label() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => select(vec!["a", "b", "www", "WWW", "svc", "xsvc"]).prop_map(|label| label.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 1..=12),
        1 => vec(any::<u8>(), 63),
    ]
}

fn names() -> impl Strategy<Value = Vec<Labels>> {
    let name = (vec(label(), 0..4), any::<bool>()).prop_map(|(mut labels, at_home)| {
        if at_home {
            labels.truncate(2);
            labels.extend([b"Example".to_vec(), b"test".to_vec()]);
        }
        labels.truncate(3 + usize::from(at_home));
        labels
    });
    vec(name, 4)
}

fn ttl() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0..100_000_u32, 1 => any::<u32>()]
}

fn rdata() -> impl Strategy<Value = Rdata> {
    let one_name =
        |rtype| any::<Index>().prop_map(move |name| Rdata::Names(rtype, vec![], vec![name], vec![]));
    let text = vec(vec(any::<u8>(), 0..40), 1..4).prop_map(|strings| {
        let octets = strings.into_iter().flat_map(|string| [vec![string.len() as u8], string].concat());
        Rdata::Opaque(16, octets.collect())
    });
    prop_oneof![
        4 => vec(any::<u8>(), 4).prop_map(|octets| Rdata::Opaque(1, octets)),
        2 => vec(any::<u8>(), 16).prop_map(|octets| Rdata::Opaque(28, octets)),
        3 => one_name(5),
        1 => one_name(2),
        1 => one_name(12),
        1 => text,
        1 => vec(any::<u8>(), 1..300).prop_map(|octets| Rdata::Opaque(65534, octets)),
        1 => (vec(any::<u8>(), 20), any::<[Index; 2]>())
            .prop_map(|(numbers, names)| Rdata::Names(6, vec![], names.to_vec(), numbers)),
        1 => (vec(any::<u8>(), 2), any::<Index>())
            .prop_map(|(preference, name)| Rdata::Names(15, preference, vec![name], vec![])),
        1 => (vec(any::<u8>(), 6), any::<Index>())
            .prop_map(|(ports, name)| Rdata::Names(33, ports, vec![name], vec![])),
        1 => (vec(any::<u8>(), 18), any::<Index>(), vec(any::<u8>(), 64))
            .prop_map(|(fields, signer, signature)| Rdata::Names(46, fields, vec![signer], signature)),
        1 => any::<Index>().prop_map(|name| Rdata::Names(65, vec![0, 1], vec![name], vec![0, 3, 0, 2, 1, 187])),
        1 => any::<Index>()
            .prop_map(|name| Rdata::Names(35, b"\0\x01\0\x01\x01S\x03SIP\0".to_vec(), vec![name], vec![])),
    ]
}

fn record() -> impl Strategy<Value = Record> {
    (select(vec![0, 0, 0, 1, 2]), any::<Index>(), ttl(), rdata())
        .prop_map(|(section, owner, ttl, rdata)| Record { section, owner, ttl, rdata })
}

fn opt() -> impl Strategy<Value = Opt> {
    let option = (prop_oneof![Just(65001), Just(100), Just(15)], vec(any::<u8>(), 2..20));
    let flags = prop_oneof![6 => Just(0), 2 => Just(0x8000), 1 => Just(0x0100_0000), 1 => Just(0x0001_0000)];
    (any::<u16>(), flags, vec(option, 0..3), any::<Index>())
}

fn spec(
    flags: impl Strategy<Value = u16>,
    records: impl Strategy<Value = Vec<Record>>,
) -> impl Strategy<Value = Spec> {
    let qtype = prop_oneof![4 => Just(1_u16), 1 => Just(28), 1 => Just(5), 1 => Just(255), 1 => any::<u16>()];
    let qclass = prop_oneof![8 => Just(1_u16), 1 => Just(255), 1 => Just(3)];
    let opt = proptest::option::of(opt());
    (
        any::<u16>(),
        flags,
        names(),
        qtype,
        qclass,
        records,
        opt,
        prop_oneof![Just(0), Just(u64::MAX), any::<u64>()],
    )
        .prop_map(|(id, flags, names, qtype, qclass, records, opt, compressed)| Spec {
            id,
            flags,
            names,
            qtype,
            qclass,
            records,
            opt,
            misplaced: Vec::new(),
            compressed,
        })
}

/// A valid query, sometimes with superfluous records.
pub(crate) fn query() -> impl Strategy<Value = Vec<u8>> {
    let records = prop_oneof![4 => Just(vec![]), 1 => vec(record(), 0..3)];
    spec(any::<u16>().prop_map(|flags| flags & 0x07ff), records).prop_map(|spec| encode(&spec))
}

/// A valid response.
pub(crate) fn response() -> impl Strategy<Value = Vec<u8>> {
    response_spec().prop_map(|spec| encode(&spec))
}

/// A valid response, and the same one with OPT records outside the additional section.
pub(crate) fn misplaced_opt() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    (response_spec(), vec((0..2_usize, opt()), 1..4)).prop_map(|(spec, misplaced)| {
        let valid = encode(&spec);
        (valid, encode(&Spec { misplaced, ..spec }))
    })
}

fn response_spec() -> impl Strategy<Value = Spec> {
    let rcode = prop_oneof![6 => Just(0), 2 => Just(3), 1 => 0..16_u16];
    let flags = (any::<u16>(), rcode).prop_map(|(flags, rcode)| flags & 0x07f0 | 0x8000 | rcode);
    let records = prop_oneof![3 => vec(record(), 0..12), 1 => vec(record(), 0..80)];
    spec(flags, records)
}

struct Encoder<'s> {
    spec: &'s Spec,
    out: Vec<u8>,
    /// The first position of each suffix of a name.
    suffixes: HashMap<Labels, u16>,
    written: u32,
}

impl Encoder<'_> {
    fn name(&mut self, labels: &Labels) {
        let compress = self.spec.compressed >> (self.written % 64) & 1 == 1;
        self.written += 1;
        for start in 0..labels.len() {
            let suffix = labels[start..].to_vec();
            if let Some(position) = self.suffixes.get(&suffix).filter(|_| compress) {
                self.out.extend_from_slice(&(0xc000 | position).to_be_bytes());
                return;
            }
            if self.out.len() < 0x4000 {
                self.suffixes.insert(suffix, self.out.len() as u16);
            }
            self.out.push(labels[start].len() as u8);
            self.out.extend_from_slice(&labels[start]);
        }
        self.out.push(0);
    }

    fn numbers(&mut self, numbers: &[u16]) {
        self.out.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
    }

    fn record(&mut self, record: &Record) {
        let spec = self.spec;
        self.name(record.owner.get(&spec.names[..]));
        let (Rdata::Opaque(rtype, _) | Rdata::Names(rtype, ..)) = &record.rdata;
        self.numbers(&[*rtype, 1, (record.ttl >> 16) as u16, record.ttl as u16, 0]);
        let start = self.out.len();
        match &record.rdata {
            Rdata::Opaque(_, octets) => self.out.extend_from_slice(octets),
            Rdata::Names(_, before, names, after) => {
                self.out.extend_from_slice(before);
                for name in names {
                    self.name(name.get(&spec.names[..]));
                }
                self.out.extend_from_slice(after);
            }
        }
        let len = (self.out.len() - start) as u16;
        self.out[start - 2..start].copy_from_slice(&len.to_be_bytes());
    }

    fn opt(&mut self, (size, flags, options, _): &Opt) {
        self.out.push(0);
        let len: usize = options.iter().map(|(_, octets)| 4 + octets.len()).sum();
        self.numbers(&[41, *size, (flags >> 16) as u16, *flags as u16, len as u16]);
        for (code, octets) in options {
            self.numbers(&[*code, octets.len() as u16]);
            self.out.extend_from_slice(octets);
        }
    }
}

fn encode(spec: &Spec) -> Vec<u8> {
    let of = |section| spec.records.iter().filter(move |record| record.section == section);
    let misplaced = |section| spec.misplaced.iter().filter(move |(in_section, _)| *in_section == section);
    let additional = of(2).count();
    let opt_at = spec.opt.as_ref().map(|opt| opt.3.index(additional + 1));
    let mut encoder = Encoder { spec, out: Vec::new(), suffixes: HashMap::new(), written: 0 };
    let arcount = (additional + usize::from(spec.opt.is_some())) as u16;
    let [ancount, nscount] = [0, 1].map(|section| (of(section).count() + misplaced(section).count()) as u16);
    encoder.numbers(&[spec.id, spec.flags, 1, ancount, nscount, arcount]);
    encoder.name(&spec.names[0]);
    encoder.numbers(&[spec.qtype, spec.qclass]);
    for section in [0, 1] {
        let records = of(section).count();
        for at in 0..=records {
            misplaced(section)
                .filter(|(_, opt)| opt.3.index(records + 1) == at)
                .for_each(|(_, opt)| encoder.opt(opt));
            if let Some(record) = of(section).nth(at) {
                encoder.record(record);
            }
        }
    }
    for at in 0..=additional {
        if let Some(opt) = spec.opt.as_ref().filter(|_| opt_at == Some(at)) {
            encoder.opt(opt);
        }
        if let Some(record) = of(2).nth(at) {
            encoder.record(record);
        }
    }
    encoder.out
}

#[derive(Clone, Debug)]
pub(crate) enum Mutation {
    Set(Index, u8),
    Point(Index, u16),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Cut(Index),
    Repeat(Index, usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, octet)| Mutation::Set(at, octet)),
        2 => (any::<Index>(), select(vec![0, 1, 41, 63, 64, 128, 192, 255])).prop_map(|(at, octet)| Mutation::Set(at, octet)),
        2 => (any::<Index>(), 0..80_u16).prop_map(|(at, target)| Mutation::Point(at, target)),
        1 => (any::<Index>(), vec(any::<u8>(), 1..4)).prop_map(|(at, octets)| Mutation::Insert(at, octets)),
        1 => (any::<Index>(), 1..12_usize).prop_map(|(at, len)| Mutation::Remove(at, len)),
        1 => any::<Index>().prop_map(Mutation::Cut),
        1 => (any::<Index>(), 1..40_usize).prop_map(|(at, len)| Mutation::Repeat(at, len)),
    ]
}

fn mutate(packet: &mut Vec<u8>, mutation: &Mutation) {
    if packet.is_empty() {
        return;
    }
    let len = packet.len();
    match mutation {
        Mutation::Set(at, octet) => packet[at.index(len)] = *octet,
        Mutation::Point(at, target) => {
            let at = at.index(len);
            let pointer = (0xc000 | target).to_be_bytes();
            packet.splice(at..len.min(at + 2), pointer);
        }
        Mutation::Insert(at, octets) => drop(packet.splice(at.index(len)..at.index(len), octets.clone())),
        Mutation::Remove(at, count) => drop(packet.drain(at.index(len)..len.min(at.index(len) + count))),
        Mutation::Cut(at) => packet.truncate(at.index(len)),
        Mutation::Repeat(at, count) => {
            let at = at.index(len);
            let again = packet[at..len.min(at + count)].to_vec();
            packet.splice(at..at, again);
        }
    }
}

/// Valid messages, most of them mutated in a few places.
pub(crate) fn mutated(valid: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (valid, vec(mutation(), 0..4)).prop_map(|(mut packet, mutations)| {
        mutations.iter().for_each(|mutation| mutate(&mut packet, mutation));
        packet
    })
}

/// Random octets, with or without a header with small counts.
pub(crate) fn noise() -> impl Strategy<Value = Vec<u8>> {
    let header = (any::<u16>(), any::<u16>(), vec(0..3_u16, 4)).prop_map(|(id, flags, counts)| {
        [vec![id, flags & 0x87ff], counts]
            .concat()
            .into_iter()
            .flat_map(u16::to_be_bytes)
            .collect::<Vec<u8>>()
    });
    let octet = prop_oneof![2 => any::<u8>(), 1 => 0..4_u8, 1 => Just(0xc0)];
    (proptest::option::weighted(0.9, header), vec(octet, 0..80))
        .prop_map(|(header, octets)| [header.unwrap_or_default(), octets].concat())
}
