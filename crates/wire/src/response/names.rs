//! Sets of names of a packet, by hash.

use crate::name::compressed::{hash_name, parent, same_name};

/// Names with the same hash that a lookup compares: its cost is bounded whatever the hashes.
const MAX_COMPARED: usize = 16;

/// The position of a name, with its hash.
#[derive(Clone, Copy, Debug)]
pub(super) struct NameAt {
    pub(super) hash: u32,
    pub(super) at: usize,
}

impl NameAt {
    pub(super) fn read(packet: &[u8], at: usize) -> Self {
        Self { hash: hash_name(packet, at), at }
    }

    pub(super) fn is_same(self, packet: &[u8], other: Self) -> bool {
        self.hash == other.hash && same_name(packet, self.at, other.at)
    }
}

/// Names of a validated packet.
pub(super) struct NameSet<'p> {
    packet: &'p [u8],
    /// By hash, after [`Self::sort`].
    names: Vec<NameAt>,
}

impl<'p> NameSet<'p> {
    pub(super) fn new(packet: &'p [u8]) -> Self {
        Self { packet, names: Vec::new() }
    }

    /// `names` and all names above them.
    pub(super) fn with_ancestors(packet: &'p [u8], names: &[NameAt]) -> Self {
        let mut set = Self::new(packet);
        for name in names {
            set.names.push(*name);
            let above = std::iter::successors(parent(packet, name.at), |at| parent(packet, *at));
            set.names.extend(above.map(|at| NameAt::read(packet, at)));
        }
        set.sort();
        set
    }

    /// Adds a name; [`Self::sort`] must follow.
    pub(super) fn push(&mut self, at: usize) {
        self.names.push(NameAt::read(self.packet, at));
    }

    pub(super) fn sort(&mut self) {
        let packet = self.packet;
        self.names.sort_unstable_by_key(|name| name.hash);
        self.names.dedup_by(|one, other| one.is_same(packet, *other));
    }

    pub(super) fn contains(&self, at: usize) -> bool {
        let name = NameAt::read(self.packet, at);
        let first = self.names.partition_point(|other| other.hash < name.hash);
        let candidates = self.names.get(first..).unwrap_or_default().iter().take(MAX_COMPARED);
        candidates.take_while(|other| other.hash == name.hash).any(|other| other.is_same(self.packet, name))
    }
}
