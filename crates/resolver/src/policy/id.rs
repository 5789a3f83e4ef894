//! Identifiers, stable across reloads of the process.

/// A listening address and port with its zones, CoreDNS's "server".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenerId(pub u16);

/// A server block, as the owner of its cache entries. Blocks with equal fingerprints before and
/// after a reload share an ID, and so the entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockId(pub u16);

/// A zone on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RouteId(pub u16);

/// An upstream address with its connection options.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UpstreamId(pub u16);
