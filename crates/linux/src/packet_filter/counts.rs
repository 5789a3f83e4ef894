//! Counters of the packet filter: what the rules of the table have counted, and those of tables that
//! were replaced.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::listing::{ListedRule, list};
use crate::nft::{Batch, NftSocket};

/// What the rules have counted, of all tables since the process started. No number decreases.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PacketCounts {
    /// Packets that the fail-open rules have sent to the fallback.
    pub fallback: Vec<FallbackCount>,
    /// Packets of other hosts that the guard has dropped.
    pub guarded: u64,
}

/// Packets of clients that the rules have sent to the fallback: UDP packets, and TCP segments that
/// open a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FallbackCount {
    /// The address that the clients sent them to.
    pub address: IpAddr,
    /// True for TCP.
    pub tcp: bool,
    /// Their number.
    pub packets: u64,
}

/// What a rule counts.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Counted {
    Fallback { address: IpAddr, tcp: bool },
    Guarded,
}

const GUARDED: &str = "from another host";
const FALLBACK_UDP: &str = "fail-open udp ";
const FALLBACK_TCP: &str = "fail-open tcp ";

impl Counted {
    /// The comment of the rule, by which it is found again.
    pub(super) fn comment(self) -> String {
        match self {
            Self::Guarded => GUARDED.to_owned(),
            Self::Fallback { address, tcp: false } => format!("{FALLBACK_UDP}{address}"),
            Self::Fallback { address, tcp: true } => format!("{FALLBACK_TCP}{address}"),
        }
    }

    fn from_comment(comment: &str) -> Option<Self> {
        if comment == GUARDED {
            return Some(Self::Guarded);
        }
        let of = |prefix, tcp| Some((comment.strip_prefix(prefix)?.parse().ok()?, tcp));
        let (address, tcp) = of(FALLBACK_UDP, false).or_else(|| of(FALLBACK_TCP, true))?;
        Some(Self::Fallback { address, tcp })
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Total {
    /// Counted by tables that are gone.
    earlier: u64,
    /// Counted by the table when it was last listed.
    listed: u64,
}

/// The sums over one table after another, for all that read or replace the table.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    shared: Arc<Mutex<BTreeMap<Counted, Total>>>,
}

impl Totals {
    /// Replaces the table; the packets that it has counted are kept.
    pub(super) fn replace(&self, table: &str, socket: &mut NftSocket, batch: Batch) -> io::Result<()> {
        // Until the end, so that no other thread lists the table in between.
        let mut totals = self.lock();
        // What cannot be listed was counted by the last listing.
        observe(&mut totals, &list(socket, table).unwrap_or_default());
        batch.commit(socket)?;
        for total in totals.values_mut() {
            *total = Total { earlier: total.earlier.saturating_add(total.listed), listed: 0 };
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Counted, Total>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn observe(totals: &mut BTreeMap<Counted, Total>, listed: &[ListedRule]) {
    let mut sums = BTreeMap::<Counted, u64>::new();
    let counted = |rule: &ListedRule| Some((Counted::from_comment(&rule.comment)?, rule.packets?));
    for (counted, packets) in listed.iter().filter_map(counted) {
        let sum = sums.entry(counted).or_default();
        *sum = sum.saturating_add(packets);
    }
    for (counted, sum) in sums {
        let total = totals.entry(counted).or_default();
        // Another program has replaced the table or set its counters to zero.
        if sum < total.listed {
            total.earlier = total.earlier.saturating_add(total.listed);
        }
        total.listed = sum;
    }
}

/// Reads the counters while the packet filter may replace the table.
#[derive(Debug)]
pub struct PacketCounters {
    table: String,
    socket: NftSocket,
    totals: Totals,
}

impl PacketCounters {
    pub(super) fn new(table: &str, totals: Totals) -> Self {
        Self { table: table.to_owned(), socket: NftSocket::default(), totals }
    }

    /// What was counted so far; up to the last listing if the kernel lists no rules.
    pub fn read(&mut self) -> PacketCounts {
        let mut totals = self.totals.lock();
        observe(&mut totals, &list(&mut self.socket, &self.table).unwrap_or_default());
        let mut counts = PacketCounts::default();
        for (counted, total) in totals.iter() {
            let packets = total.earlier.saturating_add(total.listed);
            match *counted {
                Counted::Guarded => counts.guarded = packets,
                Counted::Fallback { address, tcp } => {
                    counts.fallback.push(FallbackCount { address, tcp, packets });
                }
            }
        }
        counts
    }
}
