//! The format of the `log` directive: literal text and placeholders.

use std::fmt;
use std::net::IpAddr;

use resolver::action::Transport;
use wire::header::Flags;
use wire::name::PresentationFormat;

use super::fields::Fields;

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
    Metadata(Metadata),
}

/// A label of metadata, `{/LABEL}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Metadata {
    /// The address of the upstream.
    Upstream,
    ResponseType,
    ResponseClass,
    /// Another one, or any without the directive `metadata`.
    Missing,
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

impl Metadata {
    /// By the text in braces.
    fn of(text: &str) -> Self {
        match text {
            "{/forward/upstream}" => Self::Upstream,
            "{/log/type}" => Self::ResponseType,
            "{/log/class}" => Self::ResponseClass,
            _ => Self::Missing,
        }
    }

    fn write(self, fields: &Fields, line: &mut dyn fmt::Write) -> fmt::Result {
        match (self, fields.upstream) {
            (Self::Upstream, Some(upstream)) => write!(line, "{upstream}"),
            (Self::ResponseType, _) => line.write_str(fields.response_type.name()),
            (Self::ResponseClass, _) => line.write_str(fields.response_type.class_name()),
            (Self::Upstream | Self::Missing, _) => line.write_str("-"),
        }
    }
}

impl Placeholder {
    fn of(text: &str, has_metadata: bool) -> Option<Self> {
        if text.starts_with("{/") {
            let label = if has_metadata { Metadata::of(text) } else { Metadata::Missing };
            return Some(Self::Metadata(label));
        }
        PLACEHOLDERS.iter().find(|(known, _)| *known == text).map(|(_, placeholder)| *placeholder)
    }

    fn write(self, fields: &Fields, line: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Self::Type => write!(line, "{}", fields.qtype),
            Self::Name => write!(line, "{}", PresentationFormat(&fields.qname)),
            Self::Class => write!(line, "{}", fields.qclass),
            Self::Proto => line.write_str(match fields.transport {
                Transport::Udp => "udp",
                Transport::Tcp => "tcp",
            }),
            Self::Size => write!(line, "{}", fields.info.query_len),
            Self::Remote => address(fields.peer.ip(), line),
            Self::Port => write!(line, "{}", fields.peer.port()),
            Self::Local => address(fields.local, line),
            Self::Rcode => match fields.rcode.to_string() {
                unknown if unknown.starts_with("RCODE") => write!(line, "{}", fields.rcode.0),
                mnemonic => line.write_str(&mnemonic),
            },
            Self::Rsize => write!(line, "{}", fields.info.response_len),
            Self::Duration => write!(line, "{}s", fields.seconds),
            Self::Id => write!(line, "{}", fields.id),
            Self::Opcode => write!(line, "{}", fields.flags.opcode()),
            Self::DnssecOk => write!(line, "{}", fields.info.dnssec_ok),
            Self::Bufsize => write!(line, "{}", fields.info.buffer_size.max(512)),
            Self::Rflags => flags(fields.flags, line),
            Self::Metadata(label) => label.write(fields, line),
        }
    }
}

fn address(ip: IpAddr, line: &mut dyn fmt::Write) -> fmt::Result {
    match ip {
        IpAddr::V4(ip) => write!(line, "{ip}"),
        IpAddr::V6(ip) => write!(line, "[{ip}]"),
    }
}

/// The reserved header bit Z (RFC 1035 section 4.1.1).
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

/// A parsed format. Text in braces that is no placeholder stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Format(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Value(Placeholder),
}

impl Format {
    /// A placeholder begins at the last `{` before a `}`.
    pub(super) fn parse(text: &str, has_metadata: bool) -> Self {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('}') {
            let (head, braced) = before.split_at(before.rfind('{').unwrap_or(before.len()));
            match Placeholder::of(&format!("{braced}}}"), has_metadata) {
                Some(placeholder) => {
                    literal.push_str(head);
                    if !literal.is_empty() {
                        pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                    }
                    pieces.push(Piece::Value(placeholder));
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

    pub(super) fn fill(&self, fields: &Fields) -> String {
        let mut line = String::with_capacity(160);
        for piece in &self.0 {
            let written = match piece {
                Piece::Literal(text) => {
                    line.push_str(text);
                    Ok(())
                }
                Piece::Value(placeholder) => placeholder.write(fields, &mut line),
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
    fn formats_are_split_at_their_placeholders() {
        use Piece::Value;
        for (text, pieces) in [
            ("{type}", vec![Value(Placeholder::Type)]),
            ("a {>id} b", vec![literal("a "), Value(Placeholder::Id), literal(" b")]),
            ("{ {name}", vec![literal("{ "), Value(Placeholder::Name)]),
            ("A } {>do}", vec![literal("A } "), Value(Placeholder::DnssecOk)]),
            ("{unknown}{Type}", vec![literal("{unknown}{Type}")]),
            ("{/forward/upstream}", vec![Value(Placeholder::Metadata(Metadata::Upstream))]),
            ("{/log/kind}", vec![Value(Placeholder::Metadata(Metadata::Missing))]),
            ("open {type", vec![literal("open {type")]),
            ("", vec![]),
        ] {
            assert_eq!(Format::parse(text, true), Format(pieces), "{text}");
        }
        let missing = Format(vec![Value(Placeholder::Metadata(Metadata::Missing))]);
        assert_eq!(Format::parse("{/forward/upstream}", false), missing);
    }
}
