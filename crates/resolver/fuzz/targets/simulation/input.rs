//! The octets that the fuzzer chooses.

pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    /// The next octet; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// The same, 0 at the end.
    pub(crate) fn octet(&mut self) -> u8 {
        self.next().unwrap_or(0)
    }

    /// One of `choices`.
    pub(crate) fn choose<T: Copy, const N: usize>(&mut self, choices: [T; N]) -> T {
        choices[usize::from(self.octet()) % N]
    }

    /// An index below `len`; `None` if that is 0.
    pub(crate) fn index(&mut self, len: usize) -> Option<usize> {
        usize::from(self.octet()).checked_rem(len)
    }
}
