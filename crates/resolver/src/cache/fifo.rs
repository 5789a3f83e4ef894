//! Entries in rows, in the order they came: lists through one array of places, so that what one row gives up another
//! can take, and an entry is found by its number.

use std::sync::Arc;

use super::Entry;

/// The number of no place.
pub(super) const NOWHERE: u32 = u32::MAX;

/// The places of all rows. Their number is the most entries there have been at once.
#[derive(Debug)]
pub(super) struct Places {
    places: Vec<Place>,
    /// The first free place; the others follow through `newer`.
    free: u32,
}

#[derive(Debug)]
struct Place {
    older: u32,
    newer: u32,
    entry: Option<Arc<Entry>>,
}

/// The ends of a row, the place its hand has come to, and what stands in it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) oldest: u32,
    newest: u32,
    /// Where the next search for who may leave begins; [`NOWHERE`] is at the oldest.
    pub(super) hand: u32,
    /// Entries.
    pub(super) len: u32,
    /// Octets, as weighed.
    pub(super) weight: u64,
}

impl Default for Row {
    fn default() -> Self {
        Self { oldest: NOWHERE, newest: NOWHERE, hand: NOWHERE, len: 0, weight: 0 }
    }
}

impl Default for Places {
    fn default() -> Self {
        Self { places: Vec::new(), free: NOWHERE }
    }
}

impl Places {
    /// The place after which there is none.
    pub(super) fn end(&self) -> u32 {
        u32::try_from(self.places.len()).unwrap_or(NOWHERE)
    }

    /// Who stands at a place.
    pub(super) fn entry(&self, at: u32) -> Option<&Arc<Entry>> {
        self.place(at)?.entry.as_ref()
    }

    /// The next newer place of the same row.
    pub(super) fn newer(&self, at: u32) -> u32 {
        self.place(at).map_or(NOWHERE, |place| place.newer)
    }

    /// Puts `entry` at the new end of `row` and says where that is; [`NOWHERE`] with four thousand million entries.
    pub(super) fn push(&mut self, row: &mut Row, entry: Arc<Entry>) -> u32 {
        let weight = u64::from(entry.weight());
        let fresh = Place { older: row.newest, newer: NOWHERE, entry: Some(entry) };
        let at = self.settle_in(fresh);
        if at == NOWHERE {
            return NOWHERE;
        }
        match self.place_mut(row.newest) {
            Some(before) => before.newer = at,
            None => row.oldest = at,
        }
        row.newest = at;
        row.len += 1;
        row.weight += weight;
        at
    }

    /// Puts `entry` at the old end of `row`, where the next search begins, and says where that is.
    pub(super) fn push_oldest(&mut self, row: &mut Row, entry: Arc<Entry>) -> u32 {
        let weight = u64::from(entry.weight());
        let at = self.settle_in(Place { older: NOWHERE, newer: row.oldest, entry: Some(entry) });
        if at == NOWHERE {
            return NOWHERE;
        }
        match self.place_mut(row.oldest) {
            Some(after) => after.older = at,
            None => row.newest = at,
        }
        row.oldest = at;
        row.len += 1;
        row.weight += weight;
        at
    }

    /// Takes the entry out of its place in `row`.
    pub(super) fn take(&mut self, row: &mut Row, at: u32) -> Option<Arc<Entry>> {
        let free = self.free;
        let place = self.place_mut(at)?;
        let entry = place.entry.take()?;
        let (older, newer) = (place.older, std::mem::replace(&mut place.newer, free));
        self.free = at;
        match self.place_mut(older) {
            Some(before) => before.newer = newer,
            None => row.oldest = newer,
        }
        match self.place_mut(newer) {
            Some(after) => after.older = older,
            None => row.newest = older,
        }
        if row.hand == at {
            row.hand = newer;
        }
        row.len -= 1;
        row.weight -= u64::from(entry.weight());
        Some(entry)
    }

    /// Puts `entry` where another stands in `row`.
    pub(super) fn replace(&mut self, row: &mut Row, at: u32, entry: Arc<Entry>) {
        let coming = u64::from(entry.weight());
        let Some(before) = self.place_mut(at).and_then(|place| place.entry.as_mut()) else { return };
        let leaving = u64::from(std::mem::replace(before, entry).weight());
        row.weight = row.weight + coming - leaving;
    }

    fn settle_in(&mut self, fresh: Place) -> u32 {
        let at = self.free;
        if let Some(place) = self.place_mut(at) {
            let next = std::mem::replace(place, fresh).newer;
            self.free = next;
            return at;
        }
        let at = self.end();
        if at != NOWHERE {
            self.places.push(fresh);
        }
        at
    }

    fn place(&self, at: u32) -> Option<&Place> {
        self.places.get(usize::try_from(at).ok()?)
    }

    fn place_mut(&mut self, at: u32) -> Option<&mut Place> {
        self.places.get_mut(usize::try_from(at).ok()?)
    }
}
