//! Rules of x_tables: the entries of a table as octets (`struct ipt_entry`, `struct ip6t_entry`).

use crate::netlink_message::array;
use crate::nft::Family;

/// Number of hooks (`NF_INET_NUMHOOKS`).
const HOOKS: usize = 5;
/// The built-in chains by hook.
const CHAINS: [&str; HOOKS] = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];
/// Octets of a table's name (`XT_TABLE_MAXNAMELEN`).
pub(super) const TABLE_NAME: usize = 32;
/// Octets of the header of a match or target (`struct xt_entry_match`), and of the name in it.
const EXTENSION_HEADER: usize = 32;
const EXTENSION_NAME: usize = 29;
/// Octets of the counters of an entry (`struct xt_counters`).
pub(super) const COUNTERS: usize = 16;
/// The name of the target at the head of a user-defined chain, whose name follows.
const CHAIN_HEAD: &[u8] = b"ERROR";

/// Offsets in an entry, which begin with the addresses, and its length without matches and target.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    target_offset: usize,
    next_offset: usize,
    length: usize,
}

impl Layout {
    pub(super) const fn of(family: Family) -> Self {
        match family {
            Family::V4 => Self { target_offset: 88, next_offset: 90, length: 112 },
            Family::V6 => Self { target_offset: 140, next_offset: 142, length: 168 },
        }
    }
}

/// What the kernel reports about a table (`struct ipt_getinfo`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct TableInfo {
    pub(super) valid_hooks: u32,
    /// Offset of the first entry of each built-in chain, and of its policy.
    pub(super) hook_entries: [u32; HOOKS],
    pub(super) underflows: [u32; HOOKS],
    pub(super) entries: u32,
    /// Octets of all entries.
    pub(super) size: u32,
}

impl TableInfo {
    /// Octets of the structure.
    pub(super) const LENGTH: usize = TABLE_NAME + 52;

    pub(super) fn parse(octets: &[u8]) -> Option<Self> {
        let number = |index: usize| array(octets, TABLE_NAME + 4 * index).map(u32::from_ne_bytes);
        let numbers = |first: usize| -> Option<[u32; HOOKS]> {
            (first..first + HOOKS).map(number).collect::<Option<Vec<_>>>()?.try_into().ok()
        };
        Some(Self {
            valid_hooks: number(0)?,
            hook_entries: numbers(1)?,
            underflows: numbers(6)?,
            entries: number(11)?,
            size: number(12)?,
        })
    }

    fn is_valid_hook(&self, hook: usize) -> bool {
        self.valid_hooks & (1 << hook) != 0
    }

    /// The built-in chain that begins at this offset.
    fn chain_at(&self, offset: u32) -> Option<&'static str> {
        let hooks = self.hook_entries.iter().zip(CHAINS).enumerate();
        let mut begins = hooks.filter(|(hook, (entry, _))| self.is_valid_hook(*hook) && **entry == offset);
        begins.next().map(|(_, (_, chain))| chain)
    }
}

/// A table without some of its rules.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Shortened {
    pub(super) info: TableInfo,
    pub(super) entries: Vec<u8>,
    /// For each entry of the table before, whether it was kept.
    pub(super) kept: Vec<bool>,
    /// The chain of each rule that is missing.
    pub(super) removed_from: Vec<String>,
}

#[derive(Clone, Copy)]
struct Entry<'a> {
    offset: u32,
    octets: &'a [u8],
    matches: &'a [u8],
    target: &'a [u8],
}

/// The table without the rules whose comment begins with `comment`; nothing if the octets are not
/// entries in the form of `layout`.
pub(super) fn without_comment(
    info: &TableInfo,
    octets: &[u8],
    layout: Layout,
    comment: &str,
) -> Option<Shortened> {
    let entries = parse(octets, layout)?;
    let (mut chain, mut removed_from) = (String::new(), Vec::new());
    let mut kept = Vec::with_capacity(entries.len());
    // The offset of each entry, and where it, or the next one that is kept, is moved.
    let (mut moved, mut length) = (Vec::with_capacity(entries.len()), 0_u32);
    for entry in &entries {
        if let Some(name) = chain_head(info, entry) {
            chain = name;
        }
        let is_removed = entry.comment().is_some_and(|text| text.starts_with(comment.as_bytes()));
        kept.push(!is_removed);
        moved.push((entry.offset, length));
        if is_removed {
            removed_from.push(chain.clone());
        } else {
            length = length.checked_add(u32::try_from(entry.octets.len()).ok()?)?;
        }
    }
    let position = |offset: u32| {
        let index = moved.binary_search_by_key(&offset, |(from, _)| *from).ok()?;
        moved.get(index).map(|(_, to)| *to)
    };
    let mut shortened = Vec::with_capacity(octets.len());
    for (entry, _) in entries.iter().zip(&kept).filter(|(_, kept)| **kept) {
        shortened.extend(entry.matches_and_header());
        shortened.extend(target_moved(entry.target, position)?);
    }
    let hooks = |offsets: &[u32; HOOKS]| -> Option<[u32; HOOKS]> {
        let moved = offsets.iter().enumerate().map(|(hook, offset)| match info.is_valid_hook(hook) {
            true => position(*offset),
            false => Some(*offset),
        });
        moved.collect::<Option<Vec<_>>>()?.try_into().ok()
    };
    let info = TableInfo {
        valid_hooks: info.valid_hooks,
        hook_entries: hooks(&info.hook_entries)?,
        underflows: hooks(&info.underflows)?,
        entries: u32::try_from(kept.iter().filter(|kept| **kept).count()).ok()?,
        size: length,
    };
    Some(Shortened { info, entries: shortened, kept, removed_from })
}

/// The names of all chains, and of those of these hooks the verdict of the policy; nothing if the octets
/// are not entries in the form of `layout`.
pub(super) fn chains<const N: usize>(
    info: &TableInfo,
    octets: &[u8],
    (layout, hooks): (Layout, [usize; N]),
) -> Option<(Vec<String>, [Option<i32>; N])> {
    let entries = parse(octets, layout)?;
    let names = entries.iter().filter_map(|entry| chain_head(info, entry)).collect();
    let verdict = |hook: usize| {
        let offset = info.underflows.get(hook).filter(|_| info.is_valid_hook(hook))?;
        let policy = entries.iter().find(|entry| entry.offset == *offset)?;
        array(policy.target, EXTENSION_HEADER).map(i32::from_ne_bytes)
    };
    Some((names, hooks.map(verdict)))
}

/// The entries; nothing if the octets have another form.
fn parse(octets: &[u8], layout: Layout) -> Option<Vec<Entry<'_>>> {
    let (mut entries, mut offset) = (Vec::new(), 0);
    while offset < octets.len() {
        let rest = octets.get(offset..)?;
        let number = |at| array(rest, at).map(|octets| usize::from(u16::from_ne_bytes(octets)));
        let (target, length) = (number(layout.target_offset)?, number(layout.next_offset)?);
        if target < layout.length || length < target.checked_add(EXTENSION_HEADER)? {
            return None;
        }
        let octets = rest.get(..length)?;
        let (matches, target) = (octets.get(layout.length..target)?, octets.get(target..)?);
        entries.push(Entry { offset: u32::try_from(offset).ok()?, octets, matches, target });
        offset += length;
    }
    Some(entries)
}

/// The name of the chain whose first entry this is.
fn chain_head(info: &TableInfo, entry: &Entry<'_>) -> Option<String> {
    let named = || {
        let is_head = extension_name(entry.target)? == CHAIN_HEAD;
        let name = until_zero(entry.target.get(EXTENSION_HEADER..)?);
        is_head.then(|| String::from_utf8_lossy(name).into_owned())
    };
    info.chain_at(entry.offset).map(str::to_owned).or_else(named)
}

/// A target whose jump leads where the entry has been moved.
fn target_moved(target: &[u8], position: impl Fn(u32) -> Option<u32>) -> Option<Vec<u8>> {
    let mut octets = target.to_vec();
    // The standard target has no name. Its verdict is a negative number, or an offset.
    if extension_name(target)?.is_empty() {
        let verdict = octets.get_mut(EXTENSION_HEADER..EXTENSION_HEADER + 4)?;
        if let Ok(offset) = u32::try_from(i32::from_ne_bytes(verdict.as_ref().try_into().ok()?)) {
            verdict.copy_from_slice(&position(offset)?.to_ne_bytes());
        }
    }
    Some(octets)
}

impl<'a> Entry<'a> {
    fn matches_and_header(&self) -> &'a [u8] {
        let length = self.octets.len().saturating_sub(self.target.len());
        self.octets.get(..length).unwrap_or_default()
    }

    fn comment(&self) -> Option<&'a [u8]> {
        let mut rest = self.matches;
        loop {
            let length = usize::from(u16::from_ne_bytes(array(rest, 0)?));
            if extension_name(rest)? == b"comment" {
                return rest.get(EXTENSION_HEADER..length).map(until_zero);
            }
            rest = rest.get(length..).filter(|_| length > 0)?;
        }
    }
}

/// The name of a match or target.
fn extension_name(octets: &[u8]) -> Option<&[u8]> {
    octets.get(2..2 + EXTENSION_NAME).map(until_zero)
}

fn until_zero(octets: &[u8]) -> &[u8] {
    octets.split(|octet| *octet == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: Layout = Layout::of(Family::V4);

    /// An entry with the match `comment` if there is one, and a standard target.
    fn entry(comment: Option<&str>, verdict: i32) -> Vec<u8> {
        let mut matches = Vec::new();
        if let Some(comment) = comment {
            matches.extend(288_u16.to_ne_bytes());
            matches.extend(b"comment");
            matches.resize(EXTENSION_HEADER, 0);
            matches.extend(comment.as_bytes());
            matches.resize(288, 0);
        }
        let target = LAYOUT.length + matches.len();
        let mut octets = vec![0; LAYOUT.target_offset];
        octets.extend(u16::try_from(target).unwrap().to_ne_bytes());
        octets.extend(u16::try_from(target + 40).unwrap().to_ne_bytes());
        octets.resize(LAYOUT.length, 0);
        octets.extend(matches);
        octets.extend(40_u16.to_ne_bytes());
        octets.resize(target + EXTENSION_HEADER, 0);
        octets.extend(verdict.to_ne_bytes());
        octets.resize(target + 40, 0);
        octets
    }

    fn info(hook_entry: u32, underflow: u32, (entries, size): (u32, usize)) -> TableInfo {
        TableInfo {
            valid_hooks: 1 << 1,
            hook_entries: [7, hook_entry, 7, 7, 7],
            underflows: [7, underflow, 7, 7, 7],
            entries,
            size: size.try_into().unwrap(),
        }
    }

    #[test]
    fn jumps_and_chains_are_moved_with_their_entries() {
        let (ours, plain) = (entry(Some("ours: x"), -1).len(), entry(None, -1).len());
        let [second, third, policy] =
            [ours, ours + plain, 2 * ours + plain].map(|offset| i32::try_from(offset).unwrap());
        let before = [
            entry(Some("ours: first"), -1),
            // A jump to an entry that is removed leads to the next one.
            entry(None, third),
            entry(Some("ours: second"), -1),
            entry(None, second),
        ]
        .concat();
        let policy = policy.unsigned_abs();
        let shortened =
            without_comment(&info(0, policy, (4, before.len())), &before, LAYOUT, "ours:").unwrap();
        let plain = i32::try_from(plain).unwrap();
        assert_eq!(shortened.entries, [entry(None, plain), entry(None, 0)].concat());
        assert_eq!(shortened.info, info(0, plain.unsigned_abs(), (2, shortened.entries.len())));
        assert_eq!(shortened.kept, [false, true, false, true]);
        assert_eq!(shortened.removed_from, ["INPUT", "INPUT"]);
        let none = without_comment(&info(0, policy, (4, before.len())), &before, LAYOUT, "other").unwrap();
        assert_eq!((none.entries, none.kept), (before, vec![true; 4]));
    }

    #[test]
    fn other_forms_are_rejected() {
        let octets = [entry(Some("ours: x"), -1), entry(None, -1)].concat();
        let info = info(0, 440, (2, octets.len()));
        let parsed = |octets: &[u8]| without_comment(&info, octets, LAYOUT, "ours:").is_some();
        assert!(parsed(&octets));
        for length in 1..octets.len() {
            assert!(!parsed(&octets[..length]), "{length}");
        }
        // A verdict that leads into an entry.
        assert!(!parsed(&[entry(None, 8), entry(None, -1)].concat()));
    }
}
