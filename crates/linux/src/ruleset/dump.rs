//! Dumps of nf_tables objects.

use std::io;

use nix::errno::Errno;

use super::request::{HEADER, Request};
use crate::netlink_message::{ReceivedMessage, array, messages};
use crate::nft::NftSocket;

/// Attempts to list while other programs change rules.
pub(super) const MAX_ATTEMPTS: u32 = 20;
/// `NLMSG_ERROR` and `NLMSG_DONE`, which libc has as signed numbers.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// `NLM_F_DUMP_INTR`: rules were changed during the dump, which may be incomplete.
const FLAG_INTERRUPTED: u16 = 0x10;

/// What `parse` returns for the attributes of each object. Others take no memory.
pub(super) fn dump<T>(
    socket: &mut NftSocket,
    request: Request,
    parse: impl Fn(&[u8]) -> Option<T>,
) -> io::Result<Vec<T>> {
    let request = request.finish(0);
    for _ in 0..MAX_ATTEMPTS {
        let (mut found, mut interrupted) = (Vec::new(), false);
        socket.exchange_octets(&request, |datagram| {
            for message in replies(datagram)? {
                interrupted |= message.flags & FLAG_INTERRUPTED != 0;
                let attributes = message.body.get(HEADER..).unwrap_or_default();
                if message.kind != DONE {
                    found.extend(parse(attributes));
                }
            }
            Ok(())
        })?;
        if !interrupted {
            return Ok(found);
        }
    }
    Err(io::Error::other("other programs change the rules all the time"))
}

/// The messages of a datagram.
///
/// # Errors
///
/// The first error among them, or a malformed message.
pub(super) fn replies(datagram: &[u8]) -> io::Result<impl Iterator<Item = ReceivedMessage<'_>>> {
    for message in messages(datagram) {
        let message = message.ok_or(io::ErrorKind::InvalidData)?;
        let code = (message.kind == ERROR).then(|| array(message.body, 0)).flatten().map(i32::from_ne_bytes);
        if let Some(code) = code.filter(|code| *code != 0) {
            return Err(io::Error::from_raw_os_error(code.saturating_neg()));
        }
    }
    Ok(messages(datagram).flatten())
}

pub(super) fn errno(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw)
}
