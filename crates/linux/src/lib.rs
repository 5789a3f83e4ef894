//! Kernel interfaces: batched UDP sockets, TCP sockets, passing sockets to a successor
//! (SCM_RIGHTS), the dummy link and its addresses, nf_tables rules (NOTRACK), removal of rules of
//! iptables, evaluation of host firewalls, netlink events about changes, events about files (inotify),
//! timers (timerfd), and the confinement of threads (capabilities, seccomp, Landlock).
//!
//! The crate has no DNS semantics and makes no policy: callers pass a configuration, it is applied,
//! and the changes are returned. All `unsafe` is in `sys`.

pub mod binder;
pub mod confinement;
mod descriptors;
pub mod file_events;
pub mod firewall;
pub mod iptables;
pub mod kube_proxy;
pub mod link;
mod msghdr;
pub mod netlink_events;
mod netlink_message;
pub mod network_plugin;
mod nft;
pub mod node;
pub mod packet_filter;
pub mod periodic_timer;
mod ruleset;
pub mod scm_rights;
mod socket;
pub mod supervisor;
#[expect(unsafe_code, reason = "system calls for which no crate has a safe form; each block is justified")]
mod sys;
pub mod tcp;
pub mod udp;
mod uplinks;

pub use descriptors::raise_descriptor_limit;
pub use socket::{check_local_address, is_packet_filter_reject};
