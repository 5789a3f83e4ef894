//! Rewriting of queries and their responses (`rewrite`), behind the cache: an upstream gets the
//! rewritten question, the client and the cache keep theirs.

mod facts;
mod option;
mod pattern;
mod reversal;

use wire::editable::EditableResponse;
use wire::header::{Class, Rcode, RecordType};
use wire::name::{Name, NameError};

pub(crate) use facts::QueryFacts;
pub use option::{OptionAction, OptionData, OptionRule, OptionVariable};
pub use pattern::NamePattern;
use reversal::ResponseChange;
pub use reversal::{AnswerPart, AnswerRule};

/// A `rewrite` directive.
#[derive(Clone, Debug)]
pub struct RewriteRule {
    /// `continue`: the rules behind it are tried although it applied.
    pub continues: bool,
    /// What it changes.
    pub field: RewriteField,
}

/// What a rule changes, and of which queries.
#[derive(Clone, Debug)]
pub enum RewriteField {
    /// QNAME.
    Name {
        /// Matches QNAME.
        pattern: NamePattern,
        /// The replacement, in lower case; for a regular expression with `{0}`, `{1}` …
        to: String,
        /// `answer auto`: names in the response are changed back.
        auto: bool,
        /// `answer name` and `answer value`.
        answers: Vec<AnswerRule>,
    },
    /// QTYPE.
    Type(RecordType, RecordType),
    /// QCLASS.
    Class(Class, Class),
    /// TTLs of the response to a name, in seconds.
    Ttl {
        /// Matches QNAME.
        pattern: NamePattern,
        /// The least TTL.
        min: u32,
        /// The largest TTL.
        max: u32,
    },
    /// The response code of the response to a name.
    Rcode {
        /// Matches QNAME.
        pattern: NamePattern,
        /// The code that is replaced.
        from: Rcode,
        /// Its replacement, 0 to 23.
        to: Rcode,
    },
    /// An EDNS option of the query.
    Option(OptionRule),
    /// Targets of CNAME records in the response to any name.
    CnameTarget {
        /// Matches a target.
        pattern: NamePattern,
        /// The replacement, as of `Name`.
        to: String,
    },
}

/// What rules have made of a query, and how the response to it is changed.
#[derive(Clone, Debug)]
pub(crate) struct Rewritten {
    /// The question section that is sent.
    pub(crate) question: Box<[u8]>,
    /// Its QNAME, lower case, in wire form.
    pub(crate) name: Box<[u8]>,
    /// EDNS options that are sent, encoded.
    pub(crate) options: Box<[u8]>,
    /// In the order of their application.
    changes: Vec<ResponseChange>,
    /// A rule without `continue` has applied.
    has_stopped: bool,
}

impl Rewritten {
    /// Applies `rules` to a query with the question section `question`. `None` when none applies.
    ///
    /// # Errors
    /// A rule has made an invalid name.
    pub(crate) fn new(
        rules: &[RewriteRule],
        question: &[u8],
        mut facts: QueryFacts<'_>,
    ) -> Result<Option<Self>, NameError> {
        let client_name = facts.name.clone();
        let (mut options, mut changes) = (Vec::new(), Vec::new());
        let (mut has_applied, mut has_stopped) = (false, false);
        for rule in rules {
            let Some(rule_changes) = rule.field.apply(&mut facts, &mut options) else { continue };
            has_applied = true;
            Name::parse(&facts.name)?;
            // Those of the last rule come first.
            changes.splice(0..0, rule_changes);
            has_stopped = !rule.continues;
            if has_stopped {
                break;
            }
        }
        if !has_applied {
            return Ok(None);
        }
        let name = Name::parse(&facts.name)?;
        let sent_name = if facts.name == client_name {
            question.get(..name.as_wire().len()).unwrap_or_default()
        } else {
            name.as_wire()
        };
        let question = [sent_name, &facts.qtype.0.to_be_bytes(), &facts.qclass.0.to_be_bytes()].concat();
        let (question, name) = (question.into(), name.as_wire().into());
        Ok(Some(Self { question, name, options: options.into(), changes, has_stopped }))
    }

    /// Changes the response to the query to that which the client gets, with its `question`.
    pub(crate) fn reverse(&self, response: &mut EditableResponse, question: &[u8]) {
        response.question = question.to_vec();
        for change in &self.changes {
            change.apply(response);
        }
    }

    /// The first CNAME record of a changed response whose target is to be another one, and that
    /// target. It must be looked up: the records behind it are those of the old one.
    pub(crate) fn new_target(&self, response: &EditableResponse) -> Option<(usize, Name)> {
        let aliases = response.answers.iter().enumerate();
        let mut aliases = aliases.filter(|(_, record)| record.rtype == RecordType::CNAME);
        aliases.find_map(|(index, alias)| {
            let target = alias.target()?;
            let new = self.changes.iter().find_map(|change| change.new_target(target))?;
            Some((index, new))
        })
    }

    /// True when targets of CNAME records may be changed.
    pub(crate) fn changes_targets(&self) -> bool {
        self.changes.iter().any(|change| matches!(change, ResponseChange::CnameTarget { .. }))
    }

    /// True when CoreDNS's directive would write the response itself, to change it.
    pub(crate) fn writes_responses(&self) -> bool {
        self.has_stopped || !self.changes.is_empty()
    }

    /// The same for an error in place of a missing response: after a rule without `continue`.
    pub(crate) fn writes_errors(&self) -> bool {
        self.has_stopped
    }

    /// The response code that the client gets for a response code.
    pub(crate) fn rcode(&self, rcode: Rcode) -> Rcode {
        self.changes.iter().fold(rcode, |rcode, change| change.rcode(rcode))
    }

    /// Heap memory in octets.
    pub(crate) fn heap_len(&self) -> usize {
        let texts = 2 * (self.question.len() + self.name.len()) + self.options.len();
        texts + self.changes.len() * (size_of::<ResponseChange>() + texts)
    }
}

impl RewriteField {
    /// Changes a query and its encoded options. Returns the changes to its response; `None` when the
    /// rule does not apply.
    fn apply(&self, facts: &mut QueryFacts<'_>, options: &mut Vec<u8>) -> Option<Vec<ResponseChange>> {
        match self {
            Self::Name { pattern, to, auto, answers } => {
                let name = pattern.replace(&facts.name, to)?;
                let mut changes = Vec::new();
                match pattern {
                    NamePattern::Suffix(suffix) if *auto => {
                        changes.push(ResponseChange::Suffix { from: to.clone(), to: suffix.clone() });
                    }
                    _ if *auto => {
                        let (from, to) = (name.clone(), facts.name.clone());
                        changes.push(ResponseChange::Name { from, to });
                    }
                    _ => {}
                }
                changes.extend(answers.iter().cloned().map(ResponseChange::Answer));
                facts.name = name;
                Some(changes)
            }
            Self::Type(from, to) => (facts.qtype == *from).then(|| {
                facts.qtype = *to;
                Vec::new()
            }),
            Self::Class(from, to) => (facts.qclass == *from).then(|| {
                facts.qclass = *to;
                Vec::new()
            }),
            Self::Ttl { pattern, min, max } => {
                pattern.matches(&facts.name).then(|| vec![ResponseChange::Ttl { min: *min, max: *max }])
            }
            Self::Rcode { pattern, from, to } => {
                pattern.matches(&facts.name).then(|| vec![ResponseChange::Rcode { from: *from, to: *to }])
            }
            Self::CnameTarget { pattern, to } => {
                Some(vec![ResponseChange::CnameTarget { pattern: pattern.clone(), to: to.clone() }])
            }
            Self::Option(rule) => rule.apply(facts, options).then(Vec::new),
        }
    }
}
