//! Why a snapshot is rejected.

use std::io;
use std::time::Duration;

/// Why a snapshot is not used.
#[derive(Debug)]
pub enum LoadError {
    /// The file does not exist.
    NotFound,
    /// The file cannot be read.
    Unreadable(io::Error),
    /// A symbolic link, a directory, a pipe or the like has its name.
    NotAFile,
    /// It belongs to the user with this ID.
    Owner(u32),
    /// Others may write it; its mode.
    Permissions(u32),
    /// It has so many octets, more than a snapshot can have.
    TooLarge(u64),
    /// It is not a snapshot of this version.
    UnknownFormat,
    /// Its checksum is wrong.
    ChecksumMismatch,
    /// It was written before the last boot.
    OtherBoot,
    /// Its age.
    TooOld(Duration),
    /// It was written later than now.
    InFuture,
}

impl std::fmt::Display for LoadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotFound => f.write_str("there is none"),
            Self::Unreadable(error) => write!(f, "it cannot be read: {error}"),
            Self::NotAFile => f.write_str("it is not a regular file"),
            Self::Owner(uid) => write!(f, "it belongs to user {uid}"),
            Self::Permissions(mode) => write!(f, "others may write it: its mode is {mode:04o}"),
            Self::TooLarge(octets) => write!(f, "it has {octets} octets, more than a snapshot can have"),
            Self::UnknownFormat => f.write_str("it is not a snapshot of this version"),
            Self::ChecksumMismatch => f.write_str("its checksum is wrong"),
            Self::OtherBoot => f.write_str("it was written before the last boot"),
            Self::TooOld(age) => write!(f, "it is {} s old", age.as_secs()),
            Self::InFuture => f.write_str("it was written later than now"),
        }
    }
}

impl std::error::Error for LoadError {}
