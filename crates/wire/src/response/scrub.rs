//! Scrubbing: which records of a response do not belong to the answer to its question. They are
//! neither relayed nor cached (RFC 2181 section 5.4.1, RFC 5452 section 6).
//!
//! The answer section keeps the CNAME chain. The authority section keeps SOA, NS and DS of the zones
//! that enclose a name of the chain, and NSEC, NSEC3 and RRSIG of these zones. The additional section
//! keeps OPT and the records of names in the RDATA of kept records.

use super::chain::Chain;
use super::names::NameSet;
use crate::header::{Header, RecordType};
use crate::name::compressed::{is_at_or_below, name_end};
use crate::record::{Record, visit_names};

/// Zones whose NSEC and NSEC3 records are kept: those of a CNAME chain that a response denies.
const MAX_ZONES: usize = 4;

/// References that additional records may follow: a service to an alias, that to an address.
const MAX_REFERENCES: usize = 4;

/// A record and whether it belongs.
struct Entry {
    record: Record,
    belongs: bool,
}

/// A validated response.
pub(super) struct Scrub<'r> {
    pub(super) packet: &'r [u8],
    pub(super) header: Header,
    pub(super) question_end: usize,
    pub(super) chain: &'r Chain,
    /// The response says that there are no records: its SOA tells for how long.
    pub(super) is_denial: bool,
}

impl Scrub<'_> {
    /// Indices of the records that do not belong, given those of `invalid` ones. Nothing on an
    /// invalid packet.
    pub(super) fn removed(&self, invalid: Vec<u16>) -> Option<Vec<u16>> {
        let mut entries = self.entries(&self.answer_only(invalid))?;
        let (answer, rest) = entries.split_at_mut_checked(self.header.ancount.into())?;
        let (authority, additional) = rest.split_at_mut_checked(self.header.nscount.into())?;
        if !authority.is_empty() {
            self.scrub_authority(authority);
        }
        if additional.iter().any(|entry| entry.record.rtype != RecordType::OPT) {
            let referring = answer.iter().chain(&*authority).filter(|entry| entry.belongs);
            self.scrub_additional(referring, additional)?;
        }
        let removed = (0..).zip(&entries).filter(|(_, entry)| !entry.belongs);
        Some(removed.map(|(index, _)| index).collect())
    }

    /// The same for a response without authority and additional records.
    pub(super) fn answer_only(&self, mut invalid: Vec<u16>) -> Vec<u16> {
        invalid.extend_from_slice(&self.chain.unrelated);
        invalid.sort_unstable();
        invalid
    }

    /// All records in order.
    fn entries(&self, removed: &[u16]) -> Option<Vec<Entry>> {
        let Header { ancount, nscount, arcount, .. } = self.header;
        let mut at = self.question_end;
        let count = u16::try_from([ancount, nscount, arcount].map(u32::from).iter().sum::<u32>()).ok()?;
        let mut entries: Vec<Entry> = (0..count)
            .map(|_| {
                let record = Record::read_validated(self.packet, at)?;
                at = record.end;
                Some(Entry { record, belongs: true })
            })
            .collect::<Option<_>>()?;
        for index in removed {
            entries.get_mut(usize::from(*index))?.belongs = false;
        }
        Some(entries)
    }

    fn scrub_authority(&self, authority: &mut [Entry]) {
        let enclosing = NameSet::with_ancestors(self.packet, &self.chain.names);
        let is_enclosing = |entry: &Entry| enclosing.contains(entry.record.owner);
        let zones = self.zones(authority, &enclosing);
        let stranger = self.soa_of_a_rewritten_name(authority, is_enclosing);
        for entry in authority.iter_mut().filter(|entry| entry.belongs) {
            entry.belongs = match entry.record.rtype {
                RecordType::SOA => is_enclosing(entry) || Some(entry.record.owner) == stranger,
                RecordType::NS | RecordType::DS => is_enclosing(entry),
                RecordType::NSEC | RecordType::NSEC3 => {
                    zones.iter().any(|zone| is_at_or_below(self.packet, entry.record.owner, *zone))
                }
                rtype => rtype == RecordType::RRSIG,
            };
        }
        self.scrub_signatures(authority);
    }

    /// The enclosing zones that the records of `authority` are from.
    fn zones(&self, authority: &[Entry], enclosing: &NameSet<'_>) -> Vec<usize> {
        let signed = self.signed_owners(authority, enclosing);
        let mut zones: Vec<usize> = Vec::new();
        for record in authority.iter().filter(|entry| entry.belongs).map(|entry| &entry.record) {
            let zone = match record.rtype {
                RecordType::SOA | RecordType::NS => Some(record.owner),
                RecordType::RRSIG if signed.contains(record.owner) => signer(self.packet, record)
                    .filter(|signer| is_at_or_below(self.packet, record.owner, *signer)),
                _ => None,
            };
            let Some(zone) = zone.filter(|zone| enclosing.contains(*zone)) else { continue };
            let is_known = zones.iter().any(|known| is_at_or_below(self.packet, zone, *known));
            if !is_known && zones.len() < MAX_ZONES {
                zones.push(zone);
            }
        }
        zones
    }

    /// The owners of records whose signatures are kept with them: one that is removed names no zone.
    fn signed_owners(&self, authority: &[Entry], enclosing: &NameSet<'_>) -> NameSet<'_> {
        let mut owners = NameSet::new(self.packet);
        for record in authority.iter().filter(|entry| entry.belongs).map(|entry| &entry.record) {
            let is_kept = match record.rtype {
                RecordType::NSEC | RecordType::NSEC3 => true,
                RecordType::SOA | RecordType::NS | RecordType::DS => enclosing.contains(record.owner),
                _ => false,
            };
            if is_kept {
                owners.push(record.owner);
            }
        }
        owners.sort();
        owners
    }

    /// The owner of the first SOA of a denial that has none of an enclosing zone. CoreDNS's `rewrite`
    /// leaves the SOA of the zone that it has asked, and the TTL of the denial is in it.
    fn soa_of_a_rewritten_name(
        &self,
        authority: &[Entry],
        is_enclosing: impl Fn(&Entry) -> bool,
    ) -> Option<usize> {
        let mut soas =
            authority.iter().filter(|entry| entry.belongs && entry.record.rtype == RecordType::SOA);
        let first = soas.clone().next().filter(|_| self.is_denial)?;
        (!soas.any(is_enclosing)).then_some(first.record.owner)
    }

    /// Keeps the signatures of kept records.
    fn scrub_signatures(&self, authority: &mut [Entry]) {
        let is_signature = |entry: &Entry| entry.belongs && entry.record.rtype == RecordType::RRSIG;
        if !authority.iter().any(is_signature) {
            return;
        }
        let mut owners = NameSet::new(self.packet);
        for entry in authority.iter().filter(|entry| entry.belongs && !is_signature(entry)) {
            owners.push(entry.record.owner);
        }
        owners.sort();
        for entry in authority.iter_mut().filter(|entry| is_signature(entry)) {
            entry.belongs = owners.contains(entry.record.owner);
        }
    }

    fn scrub_additional<'e>(
        &self,
        referring: impl Iterator<Item = &'e Entry>,
        additional: &mut [Entry],
    ) -> Option<()> {
        let mut named = NameSet::new(self.packet);
        for entry in referring {
            self.add_references(&entry.record, &mut named)?;
        }
        named.sort();
        let mut open: Vec<&mut Entry> = additional
            .iter_mut()
            .filter(|entry| entry.belongs && entry.record.rtype != RecordType::OPT)
            .collect();
        open.iter_mut().for_each(|entry| entry.belongs = false);
        for _ in 0..MAX_REFERENCES {
            let (found, rest): (Vec<_>, Vec<_>) =
                open.into_iter().partition(|entry| named.contains(entry.record.owner));
            if found.is_empty() {
                break;
            }
            for entry in found {
                entry.belongs = true;
                self.add_references(&entry.record, &mut named)?;
            }
            named.sort();
            open = rest;
        }
        Some(())
    }

    /// Adds the names in RDATA whose records a response may add.
    fn add_references(&self, record: &Record, named: &mut NameSet<'_>) -> Option<()> {
        if matches!(record.rtype, RecordType::SIG | RecordType::RRSIG | RecordType::NSEC) {
            return Some(());
        }
        let is_service = matches!(record.rtype, RecordType::SVCB | RecordType::HTTPS);
        visit_names(self.packet, record, |at| {
            // The target `.` stands for the owner (RFC 9460 section 2.5.2).
            let is_owner = is_service && self.packet.get(at) == Some(&0);
            named.push(if is_owner { record.owner } else { at });
            name_end(self.packet, at)
        })
    }
}

fn signer(packet: &[u8], rrsig: &Record) -> Option<usize> {
    let mut signer = None;
    visit_names(packet, rrsig, |at| {
        signer = Some(at);
        name_end(packet, at)
    })?;
    signer
}
