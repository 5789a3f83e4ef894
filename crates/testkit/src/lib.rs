//! Test support: DNS messages as text, scenarios in virtual time, servers and clients on real
//! sockets. Never a dependency of shipped code.
//!
//! * [`text`]: DNS messages as one line of text, both ways.
//! * [`scenario`]: a DNS conversation in a file, run against a [`resolver::Resolver`] in virtual
//!   time.
//! * [`fixture`]: the default configuration of a resolver, from which a test changes a few fields.
//! * [`upstream`]: a scripted name server that logs the queries it receives; unreachable upstreams.
//! * [`cluster_zone`]: the DNS names of a small cluster, served as CoreDNS serves them.
//! * [`client`]: a DNS client, and a stub resolver with a pod's search list.
#![forbid(unsafe_code)]

pub mod client;
pub mod clock;
pub mod cluster_zone;
pub mod fixture;
pub mod scenario;
pub mod text;
pub mod upstream;

pub use hickory_proto::op::{Message, MessageType, ResponseCode};
pub use hickory_proto::rr::RecordType;
