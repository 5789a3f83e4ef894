//! Connection use: what a query requires of its connection.

/// What a query requires of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectionUse {
    /// Any connection, with other queries.
    Shared,
    /// A connection that has carried no query yet, so that kube-proxy may choose another pod.
    Fresh,
    /// A connection on which no query waits and which has responded, or a new one; for a query whose
    /// packets may have been lost. It does not wait for one.
    Unoccupied,
    /// A new connection that carries nothing else until the query is answered.
    Dedicated,
    /// A connection that has responded, for a query on a suspect one.
    Proven,
}
