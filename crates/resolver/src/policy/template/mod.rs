//! Record templates: the `template` directive, which queries it answers, and with what: a subset
//! of Go's text/template.

mod ast;
mod error;
mod evaluate;
mod format;
mod lex;
mod parse;
mod tokens;
mod value;

use regex::Regex;
use wire::edns::ExtendedError;
use wire::header::{Class, Rcode, RecordType};
use wire::name::Name;

pub use error::{EvaluateError, TemplateError};
pub use value::{QuestionData, TemplateData};

/// What a pattern and its groups match, each with the name of the group: the whole match first.
pub type Groups<'a> = Vec<(Option<&'a str>, String)>;

/// A `template` directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// QCLASS; ANY for all.
    pub class: Class,
    /// QTYPE; ANY for all.
    pub qtype: RecordType,
    /// Its zones.
    pub zones: Vec<Name>,
    /// `match`: the first that matches QNAME counts; without any, all names match.
    pub patterns: Vec<Pattern>,
    /// `answer`.
    pub answers: Vec<RecordTemplate>,
    /// `authority`.
    pub authorities: Vec<RecordTemplate>,
    /// `additional`.
    pub additionals: Vec<RecordTemplate>,
    /// `rcode`.
    pub rcode: Rcode,
    /// `ederror`.
    pub error: Option<ExtendedError>,
    /// `fallthrough`: zones whose names go to the next directive if no pattern matches.
    pub fallthrough: Vec<Name>,
}

impl Template {
    /// A template without options.
    pub fn new(class: Class, qtype: RecordType, zones: Vec<Name>) -> Self {
        Self {
            class,
            qtype,
            zones,
            patterns: Vec::new(),
            answers: Vec::new(),
            authorities: Vec::new(),
            additionals: Vec::new(),
            rcode: Rcode::NOERROR,
            error: None,
            fallthrough: Vec::new(),
        }
    }

    /// The records of the option `answer`, `authority` or `additional`.
    pub fn section_mut(&mut self, option: &str) -> Option<&mut Vec<RecordTemplate>> {
        match option {
            "answer" => Some(&mut self.answers),
            "authority" => Some(&mut self.authorities),
            "additional" => Some(&mut self.additionals),
            _ => None,
        }
    }

    /// The zone that covers a lower-case wire name, if the template is for it and for the class and
    /// type of the question.
    pub fn zone(&self, name: &[u8], class: Class, qtype: RecordType) -> Option<&Name> {
        let is_class = self.class == class || self.class == Class::ANY || class == Class::ANY;
        let is_type = self.qtype == qtype || self.qtype == RecordType::ANY || qtype == RecordType::ANY;
        if !is_class || !is_type {
            return None;
        }
        let covering = self.zones.iter().filter(|zone| zone.covers(name));
        covering.max_by_key(|zone| zone.as_wire().len())
    }

    /// The first pattern that matches a lower-case name with the trailing dot, and its groups: the
    /// whole match first.
    pub fn matching(&self, name: &str) -> Option<(&str, Groups<'_>)> {
        if self.patterns.is_empty() {
            return Some((".*", vec![(None, name.to_owned())]));
        }
        self.patterns.iter().find_map(|Pattern(regex)| {
            let captures = regex.captures(name)?;
            let text = |index| captures.get(index).map_or("", |group| group.as_str()).to_owned();
            let groups = regex.capture_names().enumerate().map(|(index, name)| (name, text(index)));
            Some((regex.as_str(), groups.collect()))
        })
    }
}

/// A pattern of `match`, unanchored.
#[derive(Clone, Debug)]
pub struct Pattern(pub Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

/// A template of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordTemplate {
    source: Box<str>,
    nodes: ast::Block,
}

impl RecordTemplate {
    /// Parses a template.
    ///
    /// # Errors
    /// What is wrong, or not in the supported subset, with its position.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        Ok(Self { source: source.into(), nodes: parse::parse(source)? })
    }

    /// The text it was parsed from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The record, a line of a zone file.
    ///
    /// # Errors
    /// An operation that fails, or a limit of length or steps.
    pub fn evaluate(&self, data: &TemplateData<'_>) -> Result<String, EvaluateError> {
        evaluate::evaluate(&self.nodes, data)
    }
}
