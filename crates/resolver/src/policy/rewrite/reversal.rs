//! Reversal of rewritten names: how names in a response are changed back to those that the client
//! knows, and what else rules change in a response.

use regex::Regex;
use wire::editable::{EditableRecord, EditableResponse};
use wire::header::Rcode;
use wire::name::{Name, PresentationFormat};

use super::pattern::{NamePattern, substitute};

/// `answer name` or `answer value`: a regular expression and its replacement, in lower case.
#[derive(Clone, Debug)]
pub struct AnswerRule {
    /// Which names it changes.
    pub part: AnswerPart,
    /// Matches anywhere in a name.
    pub pattern: Regex,
    /// Replaces the whole name; may contain `{0}`, `{1}` …
    pub to: String,
}

/// Which names of a record are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerPart {
    /// The owner.
    Name,
    /// The name in RDATA of CNAME, DNAME, MX, NAPTR, NS, PTR, SOA and SRV.
    Value,
}

/// A change to a response.
#[derive(Clone, Debug)]
pub(crate) enum ResponseChange {
    /// Owners and names in RDATA that are `from` become `to`, and those below it as well.
    Name { from: String, to: String },
    /// Owners and names in RDATA that end in `from` end in `to`.
    Suffix { from: String, to: String },
    /// See [`AnswerRule`].
    Answer(AnswerRule),
    /// TTLs are kept within these bounds.
    Ttl { min: u32, max: u32 },
    /// The response code.
    Rcode { from: Rcode, to: Rcode },
    /// Targets of CNAME records, which are looked up.
    CnameTarget { pattern: NamePattern, to: String },
}

impl ResponseChange {
    /// Changes a response. A name that would become an invalid one is left as it is.
    pub(super) fn apply(&self, response: &mut EditableResponse) {
        match self {
            Self::Ttl { min, max } => {
                for record in response.records_mut() {
                    record.ttl = record.ttl.min(*max).max(*min);
                }
            }
            Self::Rcode { .. } => response.rcode = self.rcode(response.rcode),
            Self::CnameTarget { .. } => {}
            Self::Name { .. } | Self::Suffix { .. } | Self::Answer(_) => {
                response.records_mut().for_each(|record| self.rename(record));
            }
        }
    }

    /// The response code that it makes of another.
    pub(super) fn rcode(&self, rcode: Rcode) -> Rcode {
        match self {
            Self::Rcode { from, to } if *from == rcode => *to,
            _ => rcode,
        }
    }

    /// The target of a CNAME record that it makes of another one, in wire form; `None` for the same.
    pub(super) fn new_target(&self, target: &[u8]) -> Option<Name> {
        let Self::CnameTarget { pattern, to } = self else { return None };
        let text = PresentationFormat(target).to_string().to_ascii_lowercase();
        let new = Name::parse(&pattern.replace(&text, to)?).ok()?;
        (!new.as_wire().eq_ignore_ascii_case(target)).then_some(new)
    }

    fn rename(&self, record: &mut EditableRecord) {
        if self.changes(AnswerPart::Name)
            && let Some(owner) = self.renamed(&record.owner)
        {
            record.owner = owner.as_wire().to_vec();
        }
        if self.changes(AnswerPart::Value)
            && let Some(target) = record.target().and_then(|target| self.renamed(target))
        {
            record.set_target(target.as_wire());
        }
    }

    fn changes(&self, part: AnswerPart) -> bool {
        !matches!(self, Self::Answer(rule) if rule.part != part)
    }

    /// The name that it makes of a name in wire form; `None` for the same.
    fn renamed(&self, name: &[u8]) -> Option<Name> {
        let text = PresentationFormat(name).to_string();
        let renamed = match self {
            Self::Name { from, to } => {
                let rest = strip_suffix_ignoring_case(&text, from)?;
                (rest.is_empty() || rest.ends_with('.')).then(|| format!("{rest}{to}"))?
            }
            Self::Suffix { from, to } => format!("{}{to}", strip_suffix_ignoring_case(&text, from)?),
            Self::Answer(rule) => substitute(&rule.pattern, &text, &rule.to)?,
            Self::Ttl { .. } | Self::Rcode { .. } | Self::CnameTarget { .. } => return None,
        };
        Name::parse(&renamed).ok()
    }
}

fn strip_suffix_ignoring_case<'t>(text: &'t str, suffix: &str) -> Option<&'t str> {
    let (rest, end) = text.split_at_checked(text.len().checked_sub(suffix.len())?)?;
    end.eq_ignore_ascii_case(suffix).then_some(rest)
}
