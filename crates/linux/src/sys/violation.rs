//! The signal of a system call that a seccomp filter denies (SIGSYS): ends the process with a line.

use std::io;

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use syscalls::Sysno;

/// As shells show the end by a signal.
const EXIT_CODE: libc::c_int = 128 + libc::SIGSYS;
/// Octets of `siginfo_t` before the number of the call, on machines of 64 bits.
const CALL_OFFSET: usize = 24;
/// Octets of a thread's name, with the final zero.
const NAME_OCTETS: usize = 16;
const _: () = assert!(size_of::<usize>() == 8);

/// Checks that the kernel has seccomp filters that trap, and that nothing before it, as the runtime of a
/// container or an emulator, denies them.
///
/// # Errors
///
/// The error of `seccomp`.
pub(crate) fn check_trap_support() -> io::Result<()> {
    let action = libc::SECCOMP_RET_TRAP;
    let place: *const u32 = &raw const action;
    // SAFETY: SECCOMP_GET_ACTION_AVAIL reads one u32, which outlives the call, and changes nothing.
    let status = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, place) };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Installs the handler.
///
/// # Errors
///
/// The error of `sigaction`.
pub(crate) fn report_violations() -> io::Result<()> {
    let handler = SigHandler::SigAction(report);
    // Threads have an alternate stack, as the standard library sets it up.
    let action = SigAction::new(handler, SaFlags::SA_SIGINFO | SaFlags::SA_ONSTACK, SigSet::empty());
    // SAFETY: the handler calls async-signal-safe functions only and does not return.
    unsafe { sigaction(Signal::SIGSYS, &action) }?;
    Ok(())
}

extern "C" fn report(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let place = info.cast::<u8>().wrapping_add(CALL_OFFSET).cast::<u32>();
    // SAFETY: the kernel passes a complete `siginfo_t` of 128 octets, in which a number of 32 bits is at
    // this offset for SIGSYS, and any octets for a SIGSYS that a process sent.
    let call = unsafe { place.read_unaligned() };
    let mut name = [0_u8; NAME_OCTETS];
    let buffer: *mut u8 = name.as_mut_ptr();
    // SAFETY: PR_GET_NAME writes at most 16 octets, the size of `name`, which outlives the call.
    unsafe { libc::prctl(libc::PR_GET_NAME, buffer) };
    let mut line = Line::default();
    line.push(b"seccomp: thread ");
    line.push(name.split(|octet| *octet == 0).next().unwrap_or_default());
    line.push(b" made the system call ");
    let known = usize::try_from(call).ok().and_then(Sysno::new);
    line.push(known.map_or("an unknown call", |known| known.name()).as_bytes());
    line.push(
        b", which this kind of thread may not make: ending the process (-seccomp-log to log instead)\n",
    );
    let (octets, length) = (line.octets.as_ptr(), line.length.min(line.octets.len()));
    // SAFETY: `length` octets are readable, and outlive the call.
    unsafe { libc::write(libc::STDERR_FILENO, octets.cast(), length) };
    // SAFETY: ends the process without running its exit handlers, which are not async-signal-safe.
    unsafe { libc::_exit(EXIT_CODE) }
}

/// A line composed without allocation.
struct Line {
    octets: [u8; 192],
    length: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self { octets: [0; 192], length: 0 }
    }
}

impl Line {
    /// Appends `text`, as far as there is space.
    fn push(&mut self, text: &[u8]) {
        for (octet, text) in self.octets.iter_mut().skip(self.length).zip(text) {
            *octet = *text;
        }
        self.length = self.length.saturating_add(text.len());
    }
}
