//! Values of record templates: the query, its fields, and what functions return.

use std::borrow::Cow;
use std::net::IpAddr;

use wire::header::{Class, Flags, RecordType};

use super::error::EvaluateError;

/// What a template can refer to: the query and its match.
#[derive(Clone, Debug)]
pub struct TemplateData<'a> {
    /// The matching zone of the template.
    pub zone: String,
    /// QNAME in lower case, with the trailing dot.
    pub name: String,
    /// The matching pattern; `.*` without any.
    pub pattern: &'a str,
    /// What the pattern and its groups match, each with the name of the group: the whole first.
    pub groups: Vec<(Option<&'a str>, String)>,
    /// QCLASS, or the class of the template for QCLASS ANY.
    pub class: Class,
    /// QTYPE, or the type of the template for QTYPE ANY.
    pub qtype: RecordType,
    /// The client's address.
    pub remote: IpAddr,
    /// The question as the client sent it.
    pub question: QuestionData,
    /// The message ID.
    pub id: u16,
    /// The flags of the query.
    pub flags: Flags,
}

/// The question as the client sent it.
#[derive(Clone, Debug)]
pub struct QuestionData {
    /// QNAME, with the client's case.
    pub name: String,
    /// QTYPE.
    pub qtype: RecordType,
    /// QCLASS.
    pub class: Class,
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value<'d> {
    /// The value of a key that a map does not have.
    Missing,
    Bool(bool),
    Integer(i128),
    Text(Cow<'d, str>),
    /// `.`
    Query,
    /// `.Match`
    Match,
    /// `.Group`
    Group,
    /// `.Message`
    Message,
    /// `.Message.Question`
    Questions,
    /// `.Question`
    Question,
}

/// What fields a value has, for the parser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Query,
    Message,
    Question,
    Group,
    Scalar,
}

impl Kind {
    /// The kind of a field; none if there is no such field, or it is not supported.
    pub(super) fn field(self, name: &str) -> Option<Self> {
        Some(match (self, name) {
            (Self::Query, "Zone" | "Name" | "Regex" | "Class" | "Type" | "Remote" | "Match") => Self::Scalar,
            (Self::Query, "Group") => Self::Group,
            (Self::Query, "Message") => Self::Message,
            (Self::Query, "Question") => Self::Question,
            (Self::Message, "Question") => Self::Scalar,
            (Self::Message, "Id" | "Opcode" | "Rcode") => Self::Scalar,
            (Self::Message, name) if flag(name).is_some() => Self::Scalar,
            (Self::Question, "Name" | "Qtype" | "Qclass") | (Self::Group, _) => Self::Scalar,
            _ => return None,
        })
    }
}

/// The flag of a field of `.Message`, a structure of Go's package dns.
fn flag(name: &str) -> Option<Flags> {
    Some(match name {
        "Response" => Flags::QR,
        "Authoritative" => Flags::AA,
        "Truncated" => Flags::TC,
        "RecursionDesired" => Flags::RD,
        "RecursionAvailable" => Flags::RA,
        "AuthenticatedData" => Flags::AD,
        "CheckingDisabled" => Flags::CD,
        _ => return None,
    })
}

impl<'d> Value<'d> {
    pub(super) fn text(text: impl Into<Cow<'d, str>>) -> Self {
        Self::Text(text.into())
    }

    /// A field of a value.
    pub(super) fn field(&self, name: &str, data: &'d TemplateData<'_>) -> Result<Self, EvaluateError> {
        let TemplateData { question, flags, .. } = data;
        Ok(match (self, name) {
            (Self::Query, "Zone") => Self::text(&data.zone),
            (Self::Query, "Name") => Self::text(&data.name),
            (Self::Query, "Regex") => Self::text(data.pattern),
            (Self::Query, "Class") => Self::text(data.class_name()),
            (Self::Query, "Type") => Self::text(data.qtype.to_string()),
            (Self::Query, "Remote") => Self::text(data.remote.to_string()),
            (Self::Query, "Match") => Self::Match,
            (Self::Query, "Group") => Self::Group,
            (Self::Query, "Message") => Self::Message,
            (Self::Query, "Question") => Self::Question,
            (Self::Group, name) => data.group(name).map_or(Self::Missing, Self::text),
            (Self::Message, "Question") => Self::Questions,
            (Self::Message, "Id") => Self::Integer(data.id.into()),
            (Self::Message, "Opcode" | "Rcode") => Self::Integer(0),
            (Self::Message, name) => {
                let flag = flag(name).ok_or(EvaluateError("the message has no such field"))?;
                Self::Bool(flags.has(flag))
            }
            (Self::Question, "Name") => Self::text(&question.name),
            (Self::Question, "Qtype") => Self::Integer(question.qtype.0.into()),
            (Self::Question, "Qclass") => Self::Integer(question.class.0.into()),
            _ => return Err(EvaluateError("the value has no such field")),
        })
    }

    /// `index` with one index.
    pub(super) fn index(&self, index: &Self, data: &'d TemplateData<'_>) -> Result<Self, EvaluateError> {
        let out_of_range = EvaluateError("error calling index: index out of range");
        match (self, index) {
            (Self::Group, Self::Text(name)) => Ok(Self::text(data.group(name).unwrap_or_default())),
            (Self::Match, Self::Integer(index)) => {
                let group = usize::try_from(*index).ok().and_then(|index| data.groups.get(index));
                group.map(|(_, text)| Self::text(text)).ok_or(out_of_range)
            }
            (Self::Questions, Self::Integer(0)) => Ok(Self::Question),
            (Self::Questions, Self::Integer(_)) => Err(out_of_range),
            _ => Err(EvaluateError("error calling index: the value cannot be indexed so")),
        }
    }

    /// The elements that `range` visits, each with its index or key.
    pub(super) fn elements(&self, data: &'d TemplateData<'_>) -> Result<Elements<'d>, EvaluateError> {
        let indexed = |(index, element)| (Self::Integer(i128::try_from(index).unwrap_or(0)), element);
        Ok(match self {
            Self::Match => {
                Box::new(data.groups.iter().map(|(_, text)| Self::text(text)).enumerate().map(indexed))
            }
            Self::Group => {
                let mut groups = data.all_groups();
                groups.sort_unstable();
                Box::new(groups.into_iter().map(|(name, text)| (Self::text(name), Self::text(text))))
            }
            Self::Questions => Box::new([(Self::Integer(0), Self::Question)].into_iter()),
            Self::Integer(end) => {
                Box::new((0..*end).map(|number| (Self::Integer(number), Self::Integer(number))))
            }
            Self::Missing => Box::new([].into_iter()),
            _ => return Err(EvaluateError("range can't iterate over the value")),
        })
    }

    /// True unless empty, zero or false.
    pub(super) fn is_true(&self, data: &TemplateData<'_>) -> bool {
        match self {
            Self::Missing => false,
            Self::Bool(bool) => *bool,
            Self::Integer(number) => *number != 0,
            Self::Text(text) => !text.is_empty(),
            Self::Match | Self::Group => !data.groups.is_empty(),
            Self::Query | Self::Message | Self::Questions | Self::Question => true,
        }
    }

    /// `len`.
    pub(super) fn len(&self, data: &TemplateData<'_>) -> Result<usize, EvaluateError> {
        match self {
            Self::Text(text) => Ok(text.len()),
            Self::Match => Ok(data.groups.len()),
            Self::Group => Ok(data.all_groups().len()),
            Self::Questions => Ok(1),
            _ => Err(EvaluateError("error calling len: the value has no length")),
        }
    }

    /// As it is printed.
    pub(super) fn display(&self) -> Result<Cow<'_, str>, EvaluateError> {
        match self {
            Self::Missing => Ok(Cow::Borrowed("<no value>")),
            Self::Bool(bool) => Ok(Cow::Borrowed(if *bool { "true" } else { "false" })),
            Self::Integer(number) => Ok(Cow::Owned(number.to_string())),
            Self::Text(text) => Ok(Cow::Borrowed(text)),
            _ => Err(EvaluateError("only texts, numbers and truth values can be printed")),
        }
    }
}

/// Indices or keys, and elements.
pub(super) type Elements<'d> = Box<dyn Iterator<Item = (Value<'d>, Value<'d>)> + 'd>;

impl TemplateData<'_> {
    /// The mnemonic of the class, that of ANY included.
    pub(crate) fn class_name(&self) -> String {
        if self.class == Class::ANY { "ANY".to_owned() } else { self.class.to_string() }
    }

    /// A group by name or number.
    fn group(&self, key: &str) -> Option<&str> {
        let named = self.groups.iter().rfind(|(name, _)| *name == Some(key));
        let group = named.or_else(|| self.groups.get(key.parse::<usize>().ok()?));
        group.map(|(_, text)| text.as_str())
    }

    /// All groups, by number and by name.
    fn all_groups(&self) -> Vec<(String, &str)> {
        let numbered = self.groups.iter().enumerate().map(|(index, (_, text))| (index.to_string(), text));
        let named = self.groups.iter().filter_map(|(name, text)| Some(((*name)?.to_owned(), text)));
        numbered.chain(named).map(|(name, text)| (name, text.as_str())).collect()
    }
}
