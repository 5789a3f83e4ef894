//! Rules, evaluated for packets of which not everything is known.

use super::compat;
use super::condition::Condition;
use super::packet::{Loaded, Packet};
use crate::netlink_message::{array, attribute, text};
use crate::ruleset::Rule;

/// `NFT_REG_VERDICT`
const VERDICT_REGISTER: u32 = 0;
/// `NF_DROP`, `NF_ACCEPT`, `NFT_JUMP`, `NFT_GOTO` and `NFT_RETURN`
const DROP: i32 = 0;
const ACCEPT: i32 = 1;
const JUMP: i32 = -3;
const GOTO: i32 = -4;
const RETURN: i32 = -5;

/// A rule that may decide what happens to one of the packets.
#[derive(Clone, Debug)]
pub(super) struct EvaluatedRule {
    pub(super) chain: String,
    pub(super) handle: u64,
    pub(super) comment: Option<String>,
    pub(super) action: Action,
    /// For each packet.
    pub(super) conditions: Vec<Condition>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Action {
    Accept,
    Drop,
    Jump(String),
    Goto(String),
    Return,
    /// A verdict map decides, or another program.
    Unknown,
}

impl EvaluatedRule {
    /// Nothing for a rule without a verdict, or whose conditions no packet meets.
    pub(super) fn new(rule: &Rule, packets: &[Packet]) -> Option<Self> {
        let action = rule.expressions().find_map(|(name, content)| action(name, content))?;
        let conditions: Vec<_> = packets.iter().map(|packet| Evaluation::of(rule, packet)).collect();
        let is_relevant = conditions.iter().any(|condition| *condition != Condition::Unmet);
        is_relevant.then(|| Self {
            chain: rule.chain.clone(),
            handle: rule.handle,
            comment: rule.comment(),
            action,
            conditions,
        })
    }
}

/// The verdict of an expression, if it has one.
fn action(name: &[u8], content: &[u8]) -> Option<Action> {
    match name {
        b"immediate" if number(content, 1) == Some(VERDICT_REGISTER) => {
            let verdict = attribute(attribute(content, 2)?, 2)?;
            let chain = || Some(String::from_utf8_lossy(text(attribute(verdict, 2)?)).into_owned());
            match number(verdict, 1)?.cast_signed() {
                ACCEPT => Some(Action::Accept),
                DROP => Some(Action::Drop),
                JUMP => chain().map(Action::Jump),
                GOTO => chain().map(Action::Goto),
                RETURN => Some(Action::Return),
                _ => None,
            }
        }
        b"reject" => Some(Action::Drop),
        b"target" => match text(attribute(content, 1)?) {
            b"REJECT" | b"DROP" => Some(Action::Drop),
            _ => None,
        },
        b"lookup" if number(content, 3) == Some(VERDICT_REGISTER) => Some(Action::Unknown),
        b"queue" => Some(Action::Unknown),
        _ => None,
    }
}

/// The registers of nf_tables while a rule is evaluated.
struct Evaluation<'a> {
    packet: &'a Packet,
    registers: Vec<(u32, Loaded)>,
}

impl<'a> Evaluation<'a> {
    fn of(rule: &Rule, packet: &'a Packet) -> Condition {
        let mut evaluation = Self { packet, registers: Vec::new() };
        rule.expressions().fold(Condition::Met, |condition, (name, content)| {
            let evaluated = evaluation.evaluate(name, content).unwrap_or_else(|| {
                // An expression that is not known, or malformed, may have loaded any register.
                evaluation.registers.clear();
                Condition::Unknown
            });
            condition.and(evaluated)
        })
    }

    fn evaluate(&mut self, name: &[u8], content: &[u8]) -> Option<Condition> {
        match name {
            b"payload" => {
                let loaded =
                    self.packet.payload(number(content, 2)?, number(content, 3)?, number(content, 4)?);
                self.load(number(content, 1)?, loaded)
            }
            b"meta" => self.load(number(content, 1)?, self.packet.meta(number(content, 2)?)),
            b"ct" => self.load(number(content, 1)?, self.packet.conntrack(number(content, 2)?)),
            b"bitwise" => {
                let (mask, xor) = (value(content, 4)?, value(content, 5)?);
                let loaded = match self.loaded(number(content, 1)?) {
                    Loaded::Known(octets) => {
                        let bits = octets.iter().zip(mask.iter().zip(xor));
                        Loaded::Known(bits.map(|(octet, (mask, xor))| octet & mask ^ xor).collect())
                    }
                    _ => Loaded::Unknown,
                };
                self.load(number(content, 2)?, loaded)
            }
            b"cmp" => compare(&self.loaded(number(content, 1)?), number(content, 2)?, value(content, 3)?),
            b"match" => {
                let (name, content) = (text(attribute(content, 1)?), attribute(content, 3)?);
                Some(compat::evaluate(name, content, self.packet))
            }
            b"immediate" => match number(content, 1)? {
                VERDICT_REGISTER => Some(Condition::Met),
                register => self.load(register, Loaded::Known(value(content, 2)?.to_vec())),
            },
            b"counter" | b"log" | b"reject" | b"target" => Some(Condition::Met),
            _ => None,
        }
    }

    fn load(&mut self, register: u32, loaded: Loaded) -> Option<Condition> {
        self.registers.push((register, loaded));
        Some(Condition::Met)
    }

    fn loaded(&self, register: u32) -> Loaded {
        let mut known = self.registers.iter().rev().filter(|(known, _)| *known == register);
        known.next().map_or(Loaded::Unknown, |(_, loaded)| loaded.clone())
    }
}

/// Compares as `enum nft_cmp_ops` says.
fn compare(loaded: &Loaded, operator: u32, value: &[u8]) -> Option<Condition> {
    let order = match loaded {
        Loaded::Known(octets) => octets.as_slice().cmp(value),
        // Another interface than this one.
        Loaded::Interface if is_loopback(value) => std::cmp::Ordering::Greater,
        Loaded::Interface | Loaded::Unknown => return None,
    };
    let is_met = match operator {
        0 => order.is_eq(),
        1 => order.is_ne(),
        2 => order.is_lt(),
        3 => order.is_le(),
        4 => order.is_gt(),
        5 => order.is_ge(),
        _ => return None,
    };
    Some(Condition::of(is_met))
}

/// The name of the loopback interface, or its index.
fn is_loopback(value: &[u8]) -> bool {
    value == 1_u32.to_ne_bytes() || (value.starts_with(b"lo\0") && value.len() > 4) || value == b"lo\0"
}

fn number(content: &[u8], kind: u16) -> Option<u32> {
    array(attribute(content, kind)?, 0).map(u32::from_be_bytes)
}

/// The octets of data that are compared with a register.
fn value(content: &[u8], kind: u16) -> Option<&[u8]> {
    attribute(attribute(content, kind)?, 1)
}
