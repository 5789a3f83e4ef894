//! Outstanding queries of a source port or connection. The low octet of an ID is the slot of its
//! query.

use super::Outcome;
use crate::queries::TestQuery;

pub(super) struct Slots<'q> {
    slots: Vec<Slot<'q>>,
    fills: u8,
}

#[derive(Default)]
struct Slot<'q> {
    packet: Vec<u8>,
    outstanding: Option<&'q TestQuery>,
    is_new: bool,
}

impl<'q> Slots<'q> {
    pub(super) fn new(window: usize) -> Self {
        Self { slots: std::iter::repeat_with(Slot::default).take(window).collect(), fills: 0 }
    }

    /// Takes a query for each free slot, and returns the packets to send.
    pub(super) fn fill(
        &mut self,
        turn: &mut impl Iterator<Item = &'q TestQuery>,
    ) -> impl Iterator<Item = &[u8]> {
        self.fills = self.fills.wrapping_add(1);
        for (slot, number) in self.slots.iter_mut().zip(0_u8..) {
            slot.is_new = false;
            if slot.outstanding.is_some() {
                continue;
            }
            let Some(query) = turn.next() else { continue };
            slot.packet.clear();
            slot.packet.extend([self.fills, number]);
            slot.packet.extend(query.packet.get(2..).unwrap_or_default());
            slot.outstanding = Some(query);
            slot.is_new = true;
        }
        self.slots.iter().filter(|slot| slot.is_new).map(|slot| &*slot.packet)
    }

    /// Frees the slot of a response and counts it. `echoes`: it equals the query.
    pub(super) fn receive(&mut self, packet: &[u8], echoes: bool, outcome: &mut Outcome) {
        let slot = packet.get(1).and_then(|number| self.slots.get_mut(usize::from(*number)));
        // A late response to an expired query has another ID.
        let Some(slot) = slot.filter(|slot| slot.packet.get(..2) == packet.get(..2)) else { return };
        let Some(query) = slot.outstanding.take() else { return };
        let correct = if echoes { packet == slot.packet } else { query.is_answered_by(packet) };
        if correct { outcome.answered += 1 } else { outcome.wrong += 1 }
    }

    /// Frees all slots and returns the number of outstanding queries.
    pub(super) fn expire(&mut self) -> u64 {
        self.slots.iter_mut().map(|slot| u64::from(slot.outstanding.take().is_some())).sum()
    }
}
