//! Format of the snapshot file.
//!
//! ```text
//! magic        8 octets
//! version      u16
//! boot ID      u8, and as many octets of text
//! written at   u64   nanoseconds since the boot
//! blocks       u16, and the SHA-256 of each fingerprint; the index is its number in the records
//! records            as `resolver::cache` writes them
//! checksum           SHA-256 of everything before
//! ```
//!
//! Numbers are in network byte order.

use std::collections::HashMap;
use std::time::Duration;

use resolver::policy::BlockId;
use sha2::{Digest, Sha256};

use super::host_state::HostState;
use super::load_error::LoadError;

const MAGIC: &[u8; 8] = b"NLDNSNAP";

/// Version of this format and of the records.
const VERSION: u16 = 1;

/// Octets of a SHA-256.
pub(super) const CHECKSUM_LEN: usize = 32;

/// Server blocks in a snapshot; entries of further ones are not written. A Corefile has a handful.
const MAX_BLOCKS: usize = 1024;

/// Maximum length of a header.
pub(super) const MAX_HEADER_LEN: usize =
    MAGIC.len() + 2 + 1 + u8::MAX as usize + 8 + 2 + MAX_BLOCKS * CHECKSUM_LEN;

/// Identifies a server block in a snapshot: SHA-256 of its fingerprint.
pub(super) type BlockDigest = [u8; CHECKSUM_LEN];

pub(super) fn digest(fingerprint: &str) -> BlockDigest {
    Sha256::digest(fingerprint.as_bytes()).into()
}

/// Appends a header to `out`; returns the number of each block.
pub(super) fn write_header(
    host: &HostState,
    blocks: &[(String, BlockId)],
    out: &mut Vec<u8>,
) -> HashMap<BlockId, u16> {
    let blocks = blocks.get(..MAX_BLOCKS).unwrap_or(blocks);
    let boot_id = host.boot_id.as_bytes();
    let boot_id = boot_id.get(..usize::from(u8::MAX)).unwrap_or(boot_id);
    let since_boot = u64::try_from(host.since_boot.as_nanos()).unwrap_or(u64::MAX);
    out.extend(MAGIC);
    out.extend(VERSION.to_be_bytes());
    out.push(u8::try_from(boot_id.len()).unwrap_or(u8::MAX));
    out.extend(boot_id);
    out.extend(since_boot.to_be_bytes());
    out.extend(u16::try_from(blocks.len()).unwrap_or(u16::MAX).to_be_bytes());
    blocks.iter().for_each(|(fingerprint, _)| out.extend(digest(fingerprint)));
    blocks.iter().map(|(_, id)| *id).zip(0..).collect()
}

/// Header of a snapshot with a valid checksum.
#[derive(Debug)]
pub(super) struct Header<'a> {
    pub(super) boot_id: &'a [u8],
    pub(super) since_boot: Duration,
    digests: &'a [u8],
}

impl<'a> Header<'a> {
    /// Verifies the checksum; returns the header and the records.
    pub(super) fn read(octets: &'a [u8]) -> Result<(Self, &'a [u8]), LoadError> {
        let (magic, rest) = octets.split_first_chunk().ok_or(LoadError::UnknownFormat)?;
        let (version, _) = rest.split_first_chunk().ok_or(LoadError::UnknownFormat)?;
        if (magic, u16::from_be_bytes(*version)) != (MAGIC, VERSION) {
            return Err(LoadError::UnknownFormat);
        }
        let (content, checksum) =
            octets.split_last_chunk::<CHECKSUM_LEN>().ok_or(LoadError::ChecksumMismatch)?;
        if <[u8; CHECKSUM_LEN]>::from(Sha256::digest(content)) != *checksum {
            return Err(LoadError::ChecksumMismatch);
        }
        Self::parse(content).ok_or(LoadError::ChecksumMismatch)
    }

    fn parse(content: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let rest = content.get(MAGIC.len() + 2..)?;
        let ([len], rest) = rest.split_first_chunk()?;
        let (boot_id, rest) = rest.split_at_checked(usize::from(*len))?;
        let (since_boot, rest) = rest.split_first_chunk()?;
        let (blocks, rest) = rest.split_first_chunk()?;
        let (digests, records) =
            rest.split_at_checked(usize::from(u16::from_be_bytes(*blocks)) * CHECKSUM_LEN)?;
        let since_boot = Duration::from_nanos(u64::from_be_bytes(*since_boot));
        Some((Self { boot_id, since_boot, digests }, records))
    }

    /// The blocks, in the order of their numbers.
    pub(super) fn blocks(&self) -> impl Iterator<Item = &'a BlockDigest> {
        self.digests.as_chunks().0.iter()
    }
}
