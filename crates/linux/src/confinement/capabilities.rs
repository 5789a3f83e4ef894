//! Capabilities of a thread (capabilities(7)).

use std::io;

use caps::errors::CapsError;
use caps::{CapSet, Capability, CapsHashSet};

/// A capability that one thread keeps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Privilege {
    /// Links, addresses, packet-filter rules, queues of sockets beyond `rmem_max`.
    NetAdmin,
    /// Ports below 1024.
    NetBindService,
}

impl Privilege {
    const fn capability(self) -> Capability {
        match self {
            Self::NetAdmin => Capability::CAP_NET_ADMIN,
            Self::NetBindService => Capability::CAP_NET_BIND_SERVICE,
        }
    }
}

/// Reduces the capabilities of the calling thread, of all sets, to `privilege`, if the thread has it.
pub(super) fn keep(privilege: Option<Privilege>) -> io::Result<()> {
    let permitted = caps::read(None, CapSet::Permitted).map_err(|error| failed(&error))?;
    let kept: CapsHashSet = privilege
        .map(Privilege::capability)
        .into_iter()
        .filter(|capability| permitted.contains(capability))
        .collect();
    // It is lost by the execution of a program, of which there is none.
    if permitted.contains(&Capability::CAP_SETPCAP) {
        caps::clear(None, CapSet::Bounding).map_err(|error| failed(&error))?;
    }
    // An ambient capability is lost with the inheritable one.
    caps::clear(None, CapSet::Inheritable)
        .and_then(|()| caps::set(None, CapSet::Effective, &kept))
        .and_then(|()| caps::set(None, CapSet::Permitted, &kept))
        .map_err(|error| failed(&error))
}

fn failed(error: &CapsError) -> io::Error {
    io::Error::other(error.to_string())
}
