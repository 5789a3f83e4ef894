//! Hostile reactions: spoofed, malformed and poisoned responses.

use std::net::Ipv4Addr;

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::{CNAME, NS};
use hickory_proto::rr::{DNSClass, Name, RData, Record};
use resolver::action::Transport;
use wire::header::HEADER_LEN;

use super::label_script::LabelScript;
use super::reply::encode;
use super::script::ScriptStep;

/// Address in the records of `poison`.
const POISON: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 66);
/// Offset of the low octet of ANCOUNT.
const ANSWER_COUNT: usize = 7;
/// RDLENGTH of the last record of a response without OPT: an IPv4 address.
const ADDRESS_LEN: usize = 4;

/// The steps of a hostile reaction; `None` for other labels.
pub(super) fn steps(
    script: &LabelScript,
    reaction: &str,
    query: &Message,
    transport: Transport,
) -> Option<Vec<ScriptStep>> {
    let context = Context { script, query, transport };
    let send = |reaction| context.message(reaction).map(ScriptStep::Send);
    if let Some(reaction) = reaction.strip_suffix("good") {
        return Some(vec![send(reaction)?, ScriptStep::Send(context.ok())]);
    }
    match reaction {
        "spoof" => Some(vec![send("wrongid")?, send("wrongq")?, ScriptStep::Send(context.ok())]),
        "lenbig" => context.wrong_length(200),
        "lensmall" => context.wrong_length(-8),
        _ => send(reaction).map(|step| vec![step]),
    }
}

struct Context<'a> {
    script: &'a LabelScript,
    query: &'a Message,
    transport: Transport,
}

impl Context<'_> {
    /// The message of a reaction that sends one.
    fn message(&self, reaction: &str) -> Option<Vec<u8>> {
        let Self { script, query, transport } = *self;
        let reply = || script.addresses(query, 1);
        Some(match reaction {
            "garbage" => vec![0xff; 40],
            "wrongid" => {
                let mut reply = reply();
                reply.metadata.id = reply.metadata.id.wrapping_add(1);
                encode(&reply, transport)
            }
            "wrongq" => {
                let mut other = query.clone();
                for question in &mut other.queries {
                    question.name = question.name.base_name();
                }
                encode(&script.addresses(&other, 1), transport)
            }
            "wrongclass" => {
                let mut reply = reply();
                for question in &mut reply.queries {
                    question.query_class = DNSClass::CH;
                }
                encode(&reply, transport)
            }
            "cut" => {
                let mut octets = self.ok();
                octets.truncate(octets.len().saturating_sub(3));
                octets
            }
            "eleven" => {
                let mut octets = self.ok();
                octets.truncate(HEADER_LEN - 1);
                octets
            }
            "counts" => {
                let mut octets = self.ok();
                if let Some(count) = octets.get_mut(ANSWER_COUNT) {
                    *count = 200;
                }
                octets
            }
            "rdlen" => self.wrong_rdlength(),
            "trunc" => encode(&reply().truncate(), transport),
            "huge" => match transport {
                Transport::Udp => script.addresses(query, 300).to_vec().ok()?,
                Transport::Tcp => encode(&script.addresses(query, 1000), transport),
            },
            "cnameloop" => encode(&self.cname_loop(), transport),
            "poison" => encode(&self.poisoned(), transport),
            _ => return None,
        })
    }

    fn ok(&self) -> Vec<u8> {
        encode(&self.script.addresses(self.query, 1), self.transport)
    }

    /// `ok` with a length prefix that is off by `offset`; over UDP, which has none, with a wrong
    /// RDLENGTH.
    fn wrong_length(&self, offset: i16) -> Option<Vec<ScriptStep>> {
        if self.transport == Transport::Udp {
            return Some(vec![ScriptStep::Send(self.wrong_rdlength())]);
        }
        let octets = self.ok();
        let length = u16::try_from(octets.len()).ok()?.checked_add_signed(offset)?;
        Some(vec![ScriptStep::Raw([&length.to_be_bytes(), octets.as_slice()].concat())])
    }

    /// `ok` without OPT, with an RDLENGTH beyond the end of the message.
    fn wrong_rdlength(&self) -> Vec<u8> {
        let mut reply = self.script.addresses(self.query, 1);
        reply.edns = None;
        let mut octets = encode(&reply, self.transport);
        let rdlength = octets.len().checked_sub(ADDRESS_LEN + 2);
        if let Some(high) = rdlength.and_then(|offset| octets.get_mut(offset)) {
            *high = 0x7f;
        }
        octets
    }

    fn cname_loop(&self) -> Message {
        let mut reply = self.script.addresses(self.query, 0);
        let Some(question) = self.query.queries.first() else { return reply };
        let other = sibling(&question.name, "round");
        let aliases = [(question.name.clone(), other.clone()), (other, question.name.clone())];
        let cname = |(owner, target)| Record::from_rdata(owner, self.script.ttl, RData::CNAME(CNAME(target)));
        reply.answers = aliases.map(cname).to_vec();
        reply
    }

    fn poisoned(&self) -> Message {
        let mut reply = self.script.addresses(self.query, 1);
        let Some(question) = self.query.queries.first() else { return reply };
        let victim = sibling(&question.name, "ok-victim");
        let address = || Record::from_rdata(victim.clone(), 86_400, RData::from(POISON));
        let delegation = Record::from_rdata(Name::root(), 86_400, RData::NS(NS(victim.clone())));
        reply.answers.push(address());
        reply.authorities = vec![delegation, address()];
        reply.additionals.push(address());
        reply
    }
}

/// The name with another first label.
fn sibling(name: &Name, label: &str) -> Name {
    name.base_name().prepend_label(label).unwrap_or_else(|_| name.base_name())
}
