//! What the tests share: DNS messages as text, scenarios told as DNS conversations, actors on real sockets, a
//! command that shows the product, and one that compares it with real servers.
//!
//! Reading order: [`text`] (messages as words), [`scenario`] (a conversation in a file, and what plays it),
//! [`fixture`] (a resolver's plainest configuration);
//! [`upstream`] (a name server that does what it is told, and remembers what it was asked), [`cluster_zone`] (a small
//! cluster's names, served as CoreDNS serves them), [`client`] (asks, alone or through a pod's search list).
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
