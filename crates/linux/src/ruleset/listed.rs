//! Tables, chains and rules as the kernel lists them.

use crate::netlink_message::{array, attribute, attributes, text};

/// The type of the elements of a list (`NFTA_LIST_ELEM`).
const ELEMENT: u16 = 1;
/// The name and the content of an expression (`NFTA_EXPR_NAME`, `NFTA_EXPR_DATA`).
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
/// The name and the content of an extension of x_tables (`NFTA_MATCH_NAME`, `NFTA_MATCH_INFO`).
const MATCH_NAME: u16 = 1;
const MATCH_INFO: u16 = 3;
/// NF_ACCEPT
const ACCEPT: u32 = 1;

/// A table.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) name: String,
    /// Its chains, sets, objects and flow tables.
    pub(crate) objects: u32,
}

impl Table {
    pub(super) fn parse(octets: &[u8]) -> Option<Self> {
        Some(Self { name: string(octets, 1)?, objects: number(octets, 3).unwrap_or_default() })
    }
}

/// A chain.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    pub(crate) table: String,
    pub(crate) name: String,
    pub(crate) base: Option<BaseChain>,
}

/// A chain that packets come to without a rule that leads there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BaseChain {
    /// `NF_INET_*`
    pub(crate) hook: u32,
    /// Whether it accepts what no rule decides.
    pub(crate) accepts: bool,
}

impl Chain {
    pub(super) fn parse(octets: &[u8]) -> Option<Self> {
        let base = attribute(octets, 4).and_then(|hook| {
            let accepts = number(octets, 5).is_none_or(|policy| policy == ACCEPT);
            Some(BaseChain { hook: number(hook, 1)?, accepts })
        });
        Some(Self { table: string(octets, 1)?, name: string(octets, 3)?, base })
    }
}

/// A rule.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) table: String,
    pub(crate) chain: String,
    pub(crate) handle: u64,
    expressions: Vec<u8>,
    user_data: Vec<u8>,
}

impl Rule {
    pub(super) fn parse(octets: &[u8]) -> Option<Self> {
        Some(Self {
            table: string(octets, 1)?,
            chain: string(octets, 2)?,
            handle: u64::from_be_bytes(array(attribute(octets, 3)?, 0)?),
            expressions: attribute(octets, 4).unwrap_or_default().to_vec(),
            user_data: attribute(octets, 7).unwrap_or_default().to_vec(),
        })
    }

    /// Name and content of each expression, in order.
    pub(crate) fn expressions(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let elements = attributes(&self.expressions).filter(|(kind, _)| *kind == ELEMENT);
        elements.filter_map(|(_, element)| {
            let data = attribute(element, EXPRESSION_DATA).unwrap_or_default();
            Some((text(attribute(element, EXPRESSION_NAME)?), data))
        })
    }

    /// The packets of its counter, if it has one (`NFTA_COUNTER_PACKETS`).
    pub(crate) fn packets(&self) -> Option<u64> {
        let (_, counter) = self.expressions().find(|(name, _)| *name == b"counter")?;
        array(attribute(counter, 2)?, 0).map(u64::from_be_bytes)
    }

    /// Its comment: that of `nft` in the user data, or the match `comment` of iptables-nft.
    pub(crate) fn comment(&self) -> Option<String> {
        let of_nft = match self.user_data.as_slice() {
            [0, length, comment @ ..] => comment.get(..usize::from(*length)),
            _ => None,
        };
        let of_iptables = || {
            self.expressions().find_map(|(name, data)| {
                let is_comment = name == b"match"
                    && attribute(data, MATCH_NAME).is_some_and(|name| text(name) == b"comment");
                attribute(data, MATCH_INFO).filter(|_| is_comment)
            })
        };
        let comment = of_nft.or_else(of_iptables)?;
        let comment = comment.split(|octet| *octet == 0).next()?;
        Some(String::from_utf8_lossy(comment).into_owned())
    }
}

fn string(octets: &[u8], kind: u16) -> Option<String> {
    Some(String::from_utf8_lossy(text(attribute(octets, kind)?)).into_owned())
}

fn number(octets: &[u8], kind: u16) -> Option<u32> {
    array(attribute(octets, kind)?, 0).map(u32::from_be_bytes)
}
