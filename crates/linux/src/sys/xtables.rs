//! Tables of x_tables (iptables-legacy): the options of sockets that read and replace them.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::retry;

/// Options of x_tables (`IPT_BASE_CTL` and the next one): when read, and when set.
const INFO_OR_REPLACE: libc::c_int = 64;
const ENTRIES_OR_COUNTERS: libc::c_int = 65;
/// Octets of `struct ipt_replace` before `num_counters`, and of `struct xt_counters`.
const REPLACE_HEADER: usize = 84;
const COUNTERS: usize = 16;

/// Reads the state of a table of x_tables (IPT_SO_GET_INFO): `octets` is a `struct ipt_getinfo` with
/// the table's name.
///
/// # Errors
///
/// The error of `getsockopt`.
pub(crate) fn info(socket: BorrowedFd<'_>, level: libc::c_int, octets: &mut [u8]) -> io::Result<()> {
    get(socket, level, INFO_OR_REPLACE, octets)
}

/// Reads the entries of a table of x_tables (IPT_SO_GET_ENTRIES): `octets` is a `struct
/// ipt_get_entries` with the table's name and size.
///
/// # Errors
///
/// The error of `getsockopt`; EAGAIN if the size is not that of the table.
pub(crate) fn entries(socket: BorrowedFd<'_>, level: libc::c_int, octets: &mut [u8]) -> io::Result<()> {
    get(socket, level, ENTRIES_OR_COUNTERS, octets)
}

fn get(socket: BorrowedFd<'_>, level: libc::c_int, option: libc::c_int, octets: &mut [u8]) -> io::Result<()> {
    let mut length = socket_length(octets)?;
    retry(|| {
        let value: *mut u8 = octets.as_mut_ptr();
        // SAFETY: `octets` is writable for `length` octets and outlives the call. Both options of
        // x_tables write at most `length` octets to it, whatever it contains, and contain no pointer.
        // No crate has them.
        unsafe { libc::getsockopt(socket.as_raw_fd(), level, option, value.cast(), &mut length) }
    })?;
    Ok(())
}

/// Replaces a table of x_tables (IPT_SO_SET_REPLACE). `header` is the beginning of `struct
/// ipt_replace`, up to `num_counters`; the table has had `counters` entries. Returns what each of
/// these has counted.
///
/// # Errors
///
/// The error of `setsockopt`; EAGAIN if the table has not had so many entries.
pub(crate) fn replace(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    (header, entries): (&[u8], &[u8]),
    counters: u32,
) -> io::Result<Vec<u8>> {
    if header.len() != REPLACE_HEADER || size_of::<usize>() != 8 {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let length = usize::try_from(counters).ok().and_then(|counters| counters.checked_mul(COUNTERS));
    let mut counted = vec![0_u8; length.ok_or(io::ErrorKind::InvalidInput)?];
    let pointer = counted.as_mut_ptr().expose_provenance().to_ne_bytes();
    let octets = [header, &counters.to_ne_bytes(), &pointer, entries].concat();
    let length = socket_length(&octets)?;
    retry(|| {
        let value: *const u8 = octets.as_ptr();
        // SAFETY: `octets` is readable for `length` octets. By its layout in a kernel of 64 bits, which
        // was checked, it has at offset 84 the number of counters and at 88 the pointer to `counted`,
        // which is writable for so many; the kernel rejects the call if the table has another number.
        // Both outlive the call. Everything else in it is numbers and texts, which the kernel validates.
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, INFO_OR_REPLACE, value.cast(), length) }
    })?;
    Ok(counted)
}

/// Adds to the counters of a table of x_tables (IPT_SO_SET_ADD_COUNTERS): `octets` is a `struct
/// xt_counters_info`.
///
/// # Errors
///
/// The error of `setsockopt`.
pub(crate) fn add_counters(socket: BorrowedFd<'_>, level: libc::c_int, octets: &[u8]) -> io::Result<()> {
    let length = socket_length(octets)?;
    retry(|| {
        let value: *const u8 = octets.as_ptr();
        // SAFETY: `octets` is readable for `length` octets and outlives the call; it contains no
        // pointer.
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, ENTRIES_OR_COUNTERS, value.cast(), length) }
    })?;
    Ok(())
}

fn socket_length(octets: &[u8]) -> io::Result<libc::socklen_t> {
    libc::socklen_t::try_from(octets.len()).map_err(|_| io::ErrorKind::InvalidInput.into())
}
