//! Messages of the simulation, written and read without the crates under test.

use std::net::Ipv4Addr;

use super::input::Input;

pub(crate) const A: u16 = 1;
const SOA: u16 = 6;
const CNAME: u16 = 5;
const TXT: u16 = 16;
pub(crate) const AAAA: u16 = 28;
const OPT: u16 = 41;

pub(crate) const RD: u16 = 0x0100;
pub(crate) const TC: u16 = 0x0200;
pub(crate) const CD: u16 = 0x0010;
const QR: u16 = 0x8000;
const OPCODE: u16 = 0x7800;

const NAMES: [&[u8]; 6] = [
    b"\x01a\x04test\0",
    b"\x01b\x04test\0",
    b"\0",
    b"\x01a\x07cluster\0",
    b"\x01b\x01a\x07cluster\0",
    b"\x07cluster\0",
];
/// Names in this zone have a server block of their own.
pub(crate) const CLUSTER: &[u8] = b"\x07cluster\0";

/// The target of [`Kind::Chain`].
pub(crate) const CHAINED: &[u8] = b"\x01c\x04test\0";

/// Address of the records of directives: greater than any token.
pub(crate) const LOCAL_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);

/// The first octets of addresses that are synthesized (RFC 6052 section 2.1).
const WELL_KNOWN_PREFIX: [u8; 12] = [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0];

/// A query of a client.
pub(crate) fn query(id: u16, input: &mut Input<'_>) -> Vec<u8> {
    let (name, qtype) = (input.choose(NAMES), input.choose([A, AAAA, TXT]));
    let options = input.octet();
    let flags = if options & 1 == 0 { RD } else { 0 } | if options & 2 == 2 { CD } else { 0 };
    let edns = options & 4 == 4;
    let mut out = Vec::new();
    push16(&mut out, &[id, flags, 1, 0, 0, u16::from(edns)]);
    out.extend(name);
    if options & 8 == 8 {
        out[12..].make_ascii_uppercase();
    }
    push16(&mut out, &[qtype, 1]);
    if edns {
        push_opt(&mut out, input.choose([0, 512, 600, 1232, 4096]), options & 16 == 16);
    }
    out
}

fn push16(out: &mut Vec<u8>, values: &[u16]) {
    values.iter().for_each(|value| out.extend(value.to_be_bytes()));
}

fn push_opt(out: &mut Vec<u8>, size: u16, dnssec_ok: bool) {
    out.push(0);
    push16(out, &[OPT, size, 0, if dnssec_ok { 0x8000 } else { 0 }, 0]);
}

/// What an upstream responds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Answer,
    Chain,
    Large,
    NoData,
    NameError,
    ServerFailure,
    Refused,
    FormatError,
    Truncated,
}

impl Kind {
    pub(crate) const ALL: [Self; 9] = [
        Self::Answer,
        Self::Chain,
        Self::Large,
        Self::NoData,
        Self::NameError,
        Self::ServerFailure,
        Self::Refused,
        Self::FormatError,
        Self::Truncated,
    ];

    pub(crate) fn is_negative(self) -> bool {
        matches!(self, Self::NoData | Self::NameError)
    }

    fn flags(self) -> u16 {
        match self {
            Self::NameError => 3,
            Self::ServerFailure => 2,
            Self::Refused => 5,
            Self::FormatError => 1,
            Self::Truncated => TC,
            _ => 0,
        }
    }
}

/// The response to an upstream's `query`. Its records have `token` in their RDATA.
pub(crate) fn response(query: &Message<'_>, kind: Kind, token: u32, ttl: u32) -> Vec<u8> {
    let records = match kind {
        Kind::Answer => 2,
        Kind::Large => 90,
        Kind::Chain => 1,
        _ => 0,
    };
    let aliases = u16::from(kind == Kind::Chain);
    let authorities = u16::from(kind.is_negative());
    let mut out = Vec::new();
    push16(&mut out, &[query.id, QR | query.flags & RD | kind.flags(), 1, records + aliases, authorities, 0]);
    out.extend(query.question);
    if kind == Kind::Chain {
        push_record(&mut out, (&[0xc0, 12], CNAME, ttl.saturating_add(7)), CHAINED);
    }
    let owner: &[u8] = if kind == Kind::Chain { CHAINED } else { &[0xc0, 12] };
    for number in 0..records {
        push_record(&mut out, (owner, query.qtype, ttl), &rdata(query.qtype, token, number));
    }
    if kind.is_negative() {
        let mut soa = vec![0, 0];
        soa.extend(token.to_be_bytes());
        [1_u32, 2, 3, ttl].iter().for_each(|number| soa.extend(number.to_be_bytes()));
        push_record(&mut out, (&[0], SOA, ttl), &soa);
    }
    out
}

/// RDATA that is valid for the type and contains the token; that of an A record is nothing else.
fn rdata(rtype: u16, token: u32, number: u16) -> Vec<u8> {
    let token = token.to_be_bytes();
    let rest = number.to_be_bytes();
    match rtype {
        A => token.to_vec(),
        AAAA => [&token[..], &[0; 10], &rest].concat(),
        _ => [&[6], &token[..], &rest].concat(),
    }
}

fn push_record(out: &mut Vec<u8>, (owner, rtype, ttl): (&[u8], u16, u32), rdata: &[u8]) {
    out.extend(owner);
    push16(out, &[rtype, 1]);
    out.extend(ttl.to_be_bytes());
    push16(out, &[u16::try_from(rdata.len()).unwrap()]);
    out.extend(rdata);
}

/// A record that is not OPT.
pub(crate) struct Record {
    /// Where its owner begins.
    pub(crate) owner: usize,
    pub(crate) ttl: u32,
    pub(crate) data: Data,
}

/// What a record says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Data {
    Alias,
    /// SOA of the response with this token.
    Negative(u32),
    /// Of the response with this token.
    Positive(u32),
    /// An AAAA record that is synthesized from one of that response.
    Synthesized(u32),
    /// Of a directive.
    Local,
}

impl Data {
    fn read(rtype: u16, rdata: &[u8]) -> Self {
        let positive =
            |token| if token == LOCAL_ADDRESS.to_bits() { Self::Local } else { Self::Positive(token) };
        match rtype {
            SOA => Self::Negative(at32(rdata, 2)),
            CNAME => Self::Alias,
            A => positive(at32(rdata, 0)),
            AAAA if rdata.starts_with(&WELL_KNOWN_PREFIX) => match positive(at32(rdata, 12)) {
                Self::Positive(token) => Self::Synthesized(token),
                other => other,
            },
            AAAA => Self::Positive(at32(rdata, 0)),
            _ => Self::Positive(at32(rdata, 1)),
        }
    }

    pub(crate) fn token(self) -> Option<u32> {
        match self {
            Self::Alias | Self::Local => None,
            Self::Negative(token) | Self::Positive(token) | Self::Synthesized(token) => Some(token),
        }
    }
}

/// A message as it is read.
pub(crate) struct Message<'a> {
    pub(crate) id: u16,
    pub(crate) flags: u16,
    /// Name, type and class; empty without one.
    pub(crate) question: &'a [u8],
    pub(crate) qtype: u16,
    pub(crate) records: Vec<Record>,
    /// UDP size, DO and length of the options of OPT.
    pub(crate) opt: Option<(u16, bool, usize)>,
}

impl<'a> Message<'a> {
    /// Reads a message that the resolver sent, which must be well-formed.
    pub(crate) fn read(message: &'a [u8]) -> Self {
        let counts: Vec<u16> = (0..6).map(|field| at16(message, 2 * field)).collect();
        let mut at = 12;
        assert!(counts[2] <= 1, "{} questions", counts[2]);
        let (mut question, mut qtype) = (&[][..], 0);
        if counts[2] == 1 {
            let end = name_end(message, at) + 4;
            (question, qtype) = (&message[at..end], at16(message, end - 4));
            at = end;
        }
        let mut read =
            Self { id: counts[0], flags: counts[1], question, qtype, records: Vec::new(), opt: None };
        for _ in 0..counts[3] + counts[4] + counts[5] {
            at = read.record(message, at);
        }
        assert_eq!(at, message.len(), "octets behind the last record");
        read
    }

    fn record(&mut self, message: &[u8], owner: usize) -> usize {
        let at = name_end(message, owner);
        let (rtype, class) = (at16(message, at), at16(message, at + 2));
        let (ttl, len) = (at32(message, at + 4), usize::from(at16(message, at + 8)));
        let rdata = &message[at + 10..at + 10 + len];
        match rtype {
            OPT => {
                assert!(self.opt.replace((class, ttl & 0x8000 != 0, len)).is_none(), "two OPT");
            }
            _ => self.records.push(Record { owner, ttl, data: Data::read(rtype, rdata) }),
        }
        at + 10 + len
    }

    pub(crate) fn rcode(&self) -> u16 {
        self.flags & 0xf
    }

    pub(crate) fn is_response(&self) -> bool {
        self.flags & QR != 0
    }

    pub(crate) fn opcode(&self) -> u16 {
        self.flags & OPCODE
    }

    /// DO and CD.
    pub(crate) fn variant(&self) -> (bool, bool) {
        (self.opt.is_some_and(|(_, dnssec_ok, _)| dnssec_ok), self.flags & CD != 0)
    }
}

fn at16(message: &[u8], at: usize) -> u16 {
    u16::from_be_bytes(message[at..at + 2].try_into().unwrap())
}

fn at32(message: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(message[at..at + 4].try_into().unwrap())
}

/// The end of a name that may end in a pointer.
fn name_end(message: &[u8], mut at: usize) -> usize {
    loop {
        match message[at] {
            0 => return at + 1,
            0xc0.. => return at + 2,
            len => at += usize::from(len) + 1,
        }
    }
}

/// True when the name at `at` in a message, which may have pointers, is `name`, which has none, but for case.
pub(crate) fn has_name(message: &[u8], mut at: usize, mut name: &[u8]) -> bool {
    loop {
        while message[at] >= 0xc0 {
            at = usize::from(at16(message, at) & 0x3fff);
        }
        let len = 1 + usize::from(message[at]);
        let Some((label, rest)) = name.split_at_checked(len) else { return false };
        if !label.eq_ignore_ascii_case(&message[at..at + len]) {
            return false;
        }
        if len == 1 {
            return rest.is_empty();
        }
        (name, at) = (rest, at + len);
    }
}

/// True for a lower-case name in the zone of the cluster.
pub(crate) fn is_in_cluster(name: &[u8]) -> bool {
    let mut rest = name;
    while let Some((len, labels)) = rest.split_first().filter(|(len, _)| **len > 0) {
        if rest == CLUSTER {
            return true;
        }
        rest = &labels[usize::from(*len)..];
    }
    false
}

/// True for equal questions, whose names may differ in case.
pub(crate) fn is_same_question(one: &[u8], other: &[u8]) -> bool {
    one.eq_ignore_ascii_case(other) && one.last_chunk::<4>() == other.last_chunk::<4>()
}
