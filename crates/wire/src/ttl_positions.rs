//! Positions of the TTLs of a message, each as the distance from the one before: mostly one octet.

/// The first octet of a distance of three octets.
const LONG: u8 = u8::MAX;

/// Appends the distances between `positions`, which ascend, the first from `start`.
pub(crate) fn encode(start: usize, positions: &[u16], out: &mut Vec<u8>) {
    let mut last = u16::try_from(start).unwrap_or(u16::MAX);
    for position in positions {
        let distance = position.saturating_sub(last);
        match u8::try_from(distance) {
            Ok(short) if short != LONG => out.push(short),
            _ => {
                let [high, low] = distance.to_be_bytes();
                out.extend([LONG, high, low]);
            }
        }
        last = *position;
    }
}

/// The positions, in ascending order.
#[derive(Clone, Debug)]
pub(crate) struct TtlPositions<'a> {
    distances: &'a [u8],
    last: usize,
}

impl<'a> TtlPositions<'a> {
    /// Those that were encoded with this start.
    pub(crate) const fn new(start: usize, distances: &'a [u8]) -> Self {
        Self { distances, last: start }
    }
}

impl Iterator for TtlPositions<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let (first, rest) = self.distances.split_first()?;
        let distance = if *first == LONG {
            let (long, rest) = rest.split_first_chunk()?;
            self.distances = rest;
            usize::from(u16::from_be_bytes(*long))
        } else {
            self.distances = rest;
            usize::from(*first)
        };
        self.last += distance;
        Some(self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_restored() {
        let positions = [40, 56, 310, 565, 821, 65_535];
        let mut out = Vec::new();
        encode(33, &positions, &mut out);
        assert_eq!(out.len(), 12);
        let restored: Vec<usize> = TtlPositions::new(33, &out).collect();
        assert_eq!(restored, positions.map(usize::from));
    }
}
