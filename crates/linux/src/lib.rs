//! What we ask of the kernel: batched datagram sockets, stream sockets, passing them to a successor, the link and its
//! addresses, packet-filter rules, and to be told when others change these.
//!
//! Nothing here knows what a DNS message means or decides what the node should look like: callers hand in a plan,
//! this crate carries it out and says what happened. All `unsafe` stands in `sys.rs`.

mod descriptors;
mod envelope;
mod kind;
pub mod link;
mod news;
mod nft;
pub mod node;
pub mod notrack;
pub mod passing;
mod route;
#[expect(
    unsafe_code,
    reason = "the kernel calls for which no crate has a safe form; each block carries its argument"
)]
mod sys;
pub mod tcp;
pub mod udp;
pub mod watch;

pub use descriptors::raise_descriptor_limit;
