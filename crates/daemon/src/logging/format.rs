//! Lines of the `log` directive: what its placeholders stand for.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use resolver::action::{ResponseInfo, Transport};
use wire::header::{Class, Flags, HEADER_LEN, Header, Rcode, RecordType};
use wire::name::PresentationFormat;

use super::query_log::SentResponse;

/// What the placeholders stand for.
pub(super) struct Shown {
    info: ResponseInfo,
    peer: SocketAddr,
    transport: Transport,
    local: IpAddr,
    seconds: f64,
    id: u16,
    flags: Flags,
    rcode: Rcode,
    /// Lower case.
    pub(super) name: Vec<u8>,
    qtype: RecordType,
    qclass: Class,
}

impl Shown {
    /// `rcode` is the one with the bits of OPT, where the answer could be read whole.
    pub(super) fn read(sent: &SentResponse<'_>, info: ResponseInfo, rcode: Option<Rcode>) -> Option<Self> {
        let header = Header::read(sent.message)?;
        let (name, rest) = question(sent.message.get(HEADER_LEN..)?)?;
        let [t0, t1, c0, c1] = *rest.first_chunk()?;
        Some(Self {
            info,
            peer: sent.answered.client.peer,
            transport: sent.answered.client.transport(),
            local: sent.local,
            seconds: sent.now.saturating_duration_since(info.received).as_secs_f64(),
            id: header.id,
            flags: header.flags,
            rcode: rcode.unwrap_or_else(|| header.flags.rcode()),
            name: name.to_ascii_lowercase(),
            qtype: RecordType(u16::from_be_bytes([t0, t1])),
            qclass: Class(u16::from_be_bytes([c0, c1])),
        })
    }
}

/// The name that a question starts with, its zero included, and what follows.
fn question(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut end = 0;
    loop {
        let len = usize::from(*octets.get(end)?);
        end += 1 + len;
        if len == 0 {
            return octets.split_at_checked(end);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placeholder {
    Type,
    Name,
    Class,
    Proto,
    Size,
    Remote,
    Port,
    Local,
    Rcode,
    Rsize,
    Duration,
    Id,
    Opcode,
    DnssecOk,
    Bufsize,
    Rflags,
    Metadata,
}

const PLACEHOLDERS: [(&str, Placeholder); 16] = [
    ("{type}", Placeholder::Type),
    ("{name}", Placeholder::Name),
    ("{class}", Placeholder::Class),
    ("{proto}", Placeholder::Proto),
    ("{size}", Placeholder::Size),
    ("{remote}", Placeholder::Remote),
    ("{port}", Placeholder::Port),
    ("{local}", Placeholder::Local),
    ("{rcode}", Placeholder::Rcode),
    ("{rsize}", Placeholder::Rsize),
    ("{duration}", Placeholder::Duration),
    ("{>id}", Placeholder::Id),
    ("{>opcode}", Placeholder::Opcode),
    ("{>do}", Placeholder::DnssecOk),
    ("{>bufsize}", Placeholder::Bufsize),
    ("{>rflags}", Placeholder::Rflags),
];

impl Placeholder {
    /// Metadata is written by directives we do not have, so it has no value.
    fn of(text: &str) -> Option<Self> {
        if text.starts_with("{/") {
            return Some(Self::Metadata);
        }
        PLACEHOLDERS.iter().find(|(known, _)| *known == text).map(|(_, placeholder)| *placeholder)
    }

    fn write(self, shown: &Shown, line: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Self::Type => write!(line, "{}", shown.qtype),
            Self::Name => write!(line, "{}", PresentationFormat(&shown.name)),
            Self::Class => write!(line, "{}", shown.qclass),
            Self::Proto => line.write_str(match shown.transport {
                Transport::Udp => "udp",
                Transport::Tcp => "tcp",
            }),
            Self::Size => write!(line, "{}", shown.info.query_len),
            Self::Remote => address(shown.peer.ip(), line),
            Self::Port => write!(line, "{}", shown.peer.port()),
            Self::Local => address(shown.local, line),
            Self::Rcode => match shown.rcode.to_string() {
                unknown if unknown.starts_with("RCODE") => write!(line, "{}", shown.rcode.0),
                mnemonic => line.write_str(&mnemonic),
            },
            Self::Rsize => write!(line, "{}", shown.info.response_len),
            Self::Duration => write!(line, "{}s", shown.seconds),
            Self::Id => write!(line, "{}", shown.id),
            Self::Opcode => write!(line, "{}", shown.flags.opcode()),
            Self::DnssecOk => write!(line, "{}", shown.info.dnssec_ok),
            Self::Bufsize => write!(line, "{}", shown.info.buffer_size.max(512)),
            Self::Rflags => flags(shown.flags, line),
            Self::Metadata => line.write_str("-"),
        }
    }
}

fn address(ip: IpAddr, line: &mut dyn fmt::Write) -> fmt::Result {
    match ip {
        IpAddr::V4(ip) => write!(line, "{ip}"),
        IpAddr::V6(ip) => write!(line, "[{ip}]"),
    }
}

/// The one flag bit without a meaning of its own (RFC 1035 section 4.1.1).
const ZERO: Flags = Flags(0x0040);

fn flags(flags: Flags, line: &mut dyn fmt::Write) -> fmt::Result {
    let words = [
        (Flags::QR, "qr"),
        (Flags::AA, "aa"),
        (Flags::TC, "tc"),
        (Flags::RD, "rd"),
        (Flags::RA, "ra"),
        (ZERO, "z"),
        (Flags::AD, "ad"),
        (Flags::CD, "cd"),
    ];
    let mut separator = "";
    for (_, word) in words.into_iter().filter(|(flag, _)| flags.has(*flag)) {
        write!(line, "{separator}{word}")?;
        separator = ",";
    }
    Ok(())
}

/// A line with places to fill in. What is in braces but is no placeholder stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Format(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Place(Placeholder),
}

impl Format {
    /// A placeholder begins at the last `{` before a `}`.
    pub(super) fn parse(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('}') {
            let (head, braced) = before.split_at(before.rfind('{').unwrap_or(before.len()));
            match Placeholder::of(&format!("{braced}}}")) {
                Some(placeholder) => {
                    literal.push_str(head);
                    if !literal.is_empty() {
                        pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                    }
                    pieces.push(Piece::Place(placeholder));
                }
                None => {
                    literal.push_str(before);
                    literal.push('}');
                }
            }
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Self(pieces)
    }

    pub(super) fn fill(&self, shown: &Shown) -> String {
        let mut line = String::with_capacity(160);
        for piece in &self.0 {
            let written = match piece {
                Piece::Literal(text) => {
                    line.push_str(text);
                    Ok(())
                }
                Piece::Place(placeholder) => placeholder.write(shown, &mut line),
            };
            if written.is_err() {
                line.push('-');
            }
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(text: &str) -> Piece {
        Piece::Literal(text.to_owned())
    }

    #[test]
    fn a_format_is_cut_at_its_placeholders() {
        use Piece::Place;
        for (text, pieces) in [
            ("{type}", vec![Place(Placeholder::Type)]),
            ("a {>id} b", vec![literal("a "), Place(Placeholder::Id), literal(" b")]),
            ("{ {name}", vec![literal("{ "), Place(Placeholder::Name)]),
            ("A } {>do}", vec![literal("A } "), Place(Placeholder::DnssecOk)]),
            ("{unknown}{Type}", vec![literal("{unknown}{Type}")]),
            ("{/forward/upstream}", vec![Place(Placeholder::Metadata)]),
            ("open {type", vec![literal("open {type")]),
            ("", vec![]),
        ] {
            assert_eq!(Format::parse(text), Format(pieces), "{text}");
        }
    }
}
