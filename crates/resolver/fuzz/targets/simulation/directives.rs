//! Directives that change questions or answer them, the same in all configurations of a simulation, and
//! what they make of a question, found without the crates under test.

use std::sync::Arc;

use resolver::policy::rewrite::{NamePattern, RewriteField, RewriteRule};
use resolver::policy::template::{RecordTemplate, Template};
use resolver::policy::{Block, Dns64, Hosts, HostsTable, LocalPlugin, Nat64Prefix};
use wire::header::{Class, Rcode, RecordType};
use wire::name::Name;

use super::input::Input;
use super::messages::{A, AAAA, CLUSTER, LOCAL_ADDRESS, is_in_cluster};

const PTR: u16 = 12;
const DS: u16 = 43;
const ANY: u16 = 255;
const IN: u16 = 1;
/// Zones of the server blocks, those of their names that directives change.
const ZONE: [&[u8]; 2] = [b"\x04test\0", CLUSTER];

/// In the table of `hosts`, by server block.
const HOSTS: [&[u8]; 2] = [b"\x01b\x04test\0", b"\x01a\x07cluster\0"];
/// The zone of `template`.
const TEMPLATE: [&[u8]; 2] = [b"\x01a\x04test\0", b"\x01a\x07cluster\0"];
/// Ends of names in presentation format that `rewrite name` replaces, and what by.
const REWRITTEN: [[&str; 2]; 2] = [["a.test.", "d.test."], ["a.cluster.", "d.cluster."]];
/// Names whose NXDOMAIN becomes NOERROR.
const RCODE: [&[u8]; 2] = [b"\x01b\x04test\0", b"\x01b\x01a\x07cluster\0"];
/// The target of aliases that `rewrite cname` and `template` make.
pub(crate) const ALIAS: &[u8] = b"\x01b\x04test\0";
/// TTL of the records of `hosts` and `template`.
pub(crate) const LOCAL_TTL: u32 = 60;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rewrite {
    None,
    Name,
    Rcode,
    Target,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Local {
    None,
    Hosts,
    Address,
    Alias,
}

/// The directives of a server block.
#[derive(Clone, Copy)]
pub(crate) struct Directives {
    rewrite: Rewrite,
    local: Local,
    dns64: Option<Dns64>,
}

/// Where records of an answer may be from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// An upstream's response to a question.
    Upstream(Question),
    /// A directive.
    Local,
}

/// A question with its name in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    name: Vec<u8>,
    qtype: u16,
    qclass: u16,
}

impl Question {
    pub(crate) fn read(question: &[u8]) -> Self {
        let (name, rest) = question.split_at(question.len() - 4);
        let [t0, t1, c0, c1] = rest.try_into().unwrap();
        let (qtype, qclass) = (u16::from_be_bytes([t0, t1]), u16::from_be_bytes([c0, c1]));
        Self { name: name.to_ascii_lowercase(), qtype, qclass }
    }

    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    pub(crate) fn qtype(&self) -> u16 {
        self.qtype
    }

    /// True when the answer that this name does not exist is one for another.
    pub(crate) fn is_cut_for(&self, below: &Self) -> bool {
        (self.qtype, self.qclass, below.qclass) == (A, IN, IN) && covers(&self.name, &below.name)
    }

    fn alias(&self) -> Self {
        Self { name: ALIAS.to_vec(), ..*self }
    }

    /// Indices of the server blocks that may serve it: DS queries are for the zone above, if that is served.
    fn blocks(&self) -> &'static [usize] {
        match (is_in_cluster(&self.name), self.qtype) {
            (true, DS) => &[0, 1],
            (true, _) => &[1],
            (false, _) => &[0],
        }
    }
}

/// Whether a name is in a zone.
fn covers(zone: &[u8], mut name: &[u8]) -> bool {
    while let Some((len, rest)) = name.split_first().filter(|_| name.len() > zone.len()) {
        name = &rest[usize::from(*len)..];
    }
    name == zone
}

impl Directives {
    pub(crate) fn new(input: &mut Input<'_>) -> Self {
        let options = input.octet();
        let dns64 =
            |translate_all| Dns64 { prefix: Nat64Prefix::WELL_KNOWN, translate_all, allow_ipv4: true };
        Self {
            rewrite: [Rewrite::None, Rewrite::Name, Rewrite::Rcode, Rewrite::Target]
                [usize::from(options & 3)],
            local: [Local::None, Local::Hosts, Local::Address, Local::Alias][usize::from(options >> 2 & 3)],
            dns64: (options & 16 == 16).then(|| dns64(options & 32 == 32)),
        }
    }

    /// Adds them to a server block.
    pub(crate) fn add_to(self, number: usize, block: &mut Block) {
        block.dns64 = self.dns64;
        let field = match self.rewrite {
            Rewrite::None => None,
            Rewrite::Name => Some(RewriteField::Name {
                pattern: NamePattern::Suffix(REWRITTEN[number][0].to_owned()),
                to: REWRITTEN[number][1].to_owned(),
                auto: true,
                answers: Vec::new(),
            }),
            Rewrite::Rcode => Some(RewriteField::Rcode {
                pattern: NamePattern::Exact(text(RCODE[number])),
                from: Rcode::NXDOMAIN,
                to: Rcode::NOERROR,
            }),
            Rewrite::Target => {
                let pattern = NamePattern::Exact("c.test.".to_owned());
                Some(RewriteField::CnameTarget { pattern, to: text(ALIAS) })
            }
        };
        block.rewrites = field.into_iter().map(|field| RewriteRule { continues: false, field }).collect();
        block.plugins = match self.local {
            Local::None => Vec::new(),
            Local::Hosts => vec![hosts(number)],
            Local::Address => vec![template(number, &format!("A {LOCAL_ADDRESS}"))],
            Local::Alias => vec![template(number, &format!("CNAME {}", text(ALIAS)))],
        };
    }

    /// The question that is sent for another: the label in front of that of the zone has another last octet.
    fn rewritten(self, question: &Question, number: usize) -> Question {
        let (mut question, zone) = (question.clone(), ZONE[number]);
        let at = question.name.len().wrapping_sub(zone.len() + 1);
        let is_below = question.name.len() > zone.len() && covers(zone, &question.name);
        if self.rewrite == Rewrite::Name && is_below && question.name[at] == b'a' {
            question.name[at] = b'd';
        }
        question
    }

    /// True for a question that is sent upstream as it is.
    fn pass(self, question: &Question, number: usize) -> bool {
        self.rewritten(question, number) == *question && self.local(question, number) == Local::None
    }

    /// True when NXDOMAIN of an upstream is NXDOMAIN for clients, for a question that was sent.
    fn keeps_rcode(self, question: &Question, number: usize) -> bool {
        self.rewrite != Rewrite::Rcode || question.name != RCODE[number]
    }

    /// The directive that answers a rewritten question.
    fn local(self, Question { name, qtype, qclass }: &Question, number: usize) -> Local {
        let is_answered = match self.local {
            Local::None => false,
            Local::Hosts => *qclass == IN && *qtype != PTR && name == HOSTS[number],
            Local::Address | Local::Alias => {
                [IN, ANY].contains(qclass) && [A, ANY].contains(qtype) && covers(TEMPLATE[number], name)
            }
        };
        if is_answered { self.local } else { Local::None }
    }
}

/// The directives of both server blocks.
#[derive(Clone, Copy)]
pub(crate) struct AllDirectives(pub(crate) [Directives; 2]);

impl AllDirectives {
    /// Those of the server blocks that may serve a question, and the indices of these.
    fn of(&self, question: &Question) -> impl Iterator<Item = (usize, Directives)> {
        question.blocks().iter().map(|&number| (number, self.0[number]))
    }

    /// True for a question that is sent upstream as it is.
    pub(crate) fn pass(&self, question: &Question) -> bool {
        self.of(question).any(|(number, directives)| directives.pass(question, number))
    }

    /// Where records of an answer to a client's question may be from.
    pub(crate) fn origins(&self, question: &Question) -> Vec<Origin> {
        let mut origins = self.own_origins(question, 0);
        if self.synthesize(question) {
            origins.extend(self.own_origins(&Question { qtype: A, ..question.clone() }, 0));
        }
        origins
    }

    fn own_origins(&self, question: &Question, depth: usize) -> Vec<Origin> {
        // Lookups end that would wait for themselves.
        let alias = || if depth < 2 { self.own_origins(&question.alias(), depth + 1) } else { Vec::new() };
        let of_block = |(number, directives): (usize, Directives)| {
            let sent = directives.rewritten(question, number);
            match directives.local(&sent, number) {
                Local::Hosts | Local::Address => vec![Origin::Local],
                Local::Alias => alias(),
                Local::None => {
                    let mut origins = vec![Origin::Upstream(sent)];
                    if directives.rewrite == Rewrite::Target {
                        origins.extend(alias());
                    }
                    origins
                }
            }
        };
        self.of(question).flat_map(of_block).collect()
    }

    /// True when an answer may have records of an alias, looked up apart.
    pub(crate) fn follow_alias(&self, question: &Question) -> bool {
        self.of(question).any(|(number, directives)| {
            let sent = directives.rewritten(question, number);
            let is_alias = |sent: &Question| directives.local(sent, number) == Local::Alias;
            let is_translated = self.synthesize(question) && is_alias(&Question { qtype: A, ..sent.clone() });
            directives.rewrite == Rewrite::Target || is_alias(&sent) || is_translated
        })
    }

    /// True when a question may be answered from an NXDOMAIN cut: no directive answers it, and none
    /// rewrites it or its response.
    pub(crate) fn allow_cut(&self, question: &Question) -> bool {
        self.of(question).any(|(number, directives)| {
            directives.rewrite != Rewrite::Target
                && directives.pass(question, number)
                && directives.keeps_rcode(question, number)
        })
    }

    /// True when all lookups of the resolver itself that are counted are those for `dns64`.
    pub(crate) fn look_up_no_aliases(&self) -> bool {
        self.0.iter().all(|one| one.rewrite != Rewrite::Target && one.local != Local::Alias)
    }

    /// True when `dns64` is for a question.
    pub(crate) fn synthesize(&self, question: &Question) -> bool {
        let is_translated = question.qtype == AAAA && question.qclass == IN;
        is_translated && self.of(question).any(|(_, directives)| directives.dns64.is_some())
    }

    /// True when clients may get this response code, NXDOMAIN or not, for NXDOMAIN of an upstream to a question
    /// that was sent.
    pub(crate) fn allow_rcode(&self, question: &Question, is_name_error: bool) -> bool {
        self.of(question)
            .any(|(number, directives)| directives.keeps_rcode(question, number) == is_name_error)
    }
}

/// A name in presentation format.
fn text(mut name: &[u8]) -> String {
    let mut text = String::new();
    while let Some((len, rest)) = name.split_first().filter(|(len, _)| **len > 0) {
        let (label, rest) = rest.split_at(usize::from(*len));
        text += &format!("{}.", label.escape_ascii());
        name = rest;
    }
    text
}

fn hosts(number: usize) -> LocalPlugin {
    let mut table = HostsTable::default();
    table.add(&Name::parse(&text(HOSTS[number])).unwrap(), LOCAL_ADDRESS.into());
    LocalPlugin::Hosts(Arc::new(Hosts {
        zones: vec![Name::root()],
        ttl: LOCAL_TTL,
        fallthrough: vec![Name::root()],
        passes_other_types: false,
        table,
    }))
}

fn template(number: usize, data: &str) -> LocalPlugin {
    let zone = Name::parse(&text(TEMPLATE[number])).unwrap();
    let mut template = Template::new(Class::IN, RecordType::A, vec![zone]);
    let answer = RecordTemplate::parse(&format!("{{{{ .Name }}}} {LOCAL_TTL} IN {data}"));
    template.answers.push(answer.unwrap());
    LocalPlugin::Template(Arc::new(template))
}
