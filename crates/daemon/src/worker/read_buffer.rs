//! The buffer of a worker for octets from streams: each read copies what it got at once.

use std::cell::RefCell;

/// Octets of the buffer.
const LEN: usize = 16 * 1024;

thread_local! {
    static BUFFER: RefCell<Box<[u8; LEN]>> = RefCell::new(Box::new([0; LEN]));
}

/// Calls `read` with the buffer of this thread, whose content is undefined.
pub(super) fn with<R>(read: impl FnOnce(&mut [u8]) -> R) -> R {
    BUFFER.with_borrow_mut(|buffer| read(buffer.as_mut_slice()))
}
