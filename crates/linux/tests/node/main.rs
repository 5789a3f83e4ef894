//! Link, addresses, rules and netlink events against the kernel, each test in a private network
//! namespace.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod firewall;
mod fixture;
mod guard;
mod icmp;
mod iptables;
mod link;
mod namespace;
mod netlink_events;
mod network_plugin;
mod packet_filter;
mod removal_monitor;
mod setup;
mod tc;
