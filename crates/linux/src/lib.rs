//! What we ask of the kernel: batched datagram sockets, stream sockets, passing them to a successor, the link and its
//! addresses, packet-filter rules, and to be told when others change these.
//!
//! Nothing here knows what a DNS message means or decides what the node should look like: callers hand in a plan,
//! this crate carries it out and says what happened. All `unsafe` stands in `sys.rs`.

mod descriptors;
pub mod link;
mod msghdr;
pub mod netlink_events;
mod nft;
pub mod node;
pub mod notrack;
mod route;
pub mod scm_rights;
mod socket;
#[expect(
    unsafe_code,
    reason = "the kernel calls for which no crate has a safe form; each block carries its argument"
)]
mod sys;
pub mod tcp;
pub mod udp;

pub use descriptors::raise_descriptor_limit;
