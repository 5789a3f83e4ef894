//! Process tests: the real binary on loopback, without privileges, between real clients and
//! scripted upstreams.
//!
//! `fixture` starts it, `responses` and `log_output` read what it returns. Each test has a loopback
//! address of its own, so that all can run at once.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]

mod acl;
mod answers_of_directives;
mod bursts;
mod coalescing;
mod coexistence;
mod confinement;
mod connection_options;
mod control_socket;
mod doctor;
mod failures;
mod file_events;
mod fixture;
mod foreign_cache;
mod foreign_directory;
mod foreign_peer;
mod foreign_predecessor;
mod foreign_sockets;
mod foreign_successor;
mod forwarding_loops;
mod handover;
mod hits;
mod hostile_clients;
mod hostile_upstreams;
mod hosts_files;
mod http_addresses;
mod inspection;
mod kube_dns;
mod link_local;
mod link_repair;
mod listen_addresses;
mod load;
mod log_lines;
mod log_output;
mod metrics_counts;
mod misses;
#[expect(dead_code, reason = "the tests of the node use more of it")]
#[path = "../../../linux/tests/node/namespace.rs"]
mod namespace;
mod packet_filter;
mod predecessor_fixture;
mod readiness;
mod reload;
mod responses;
mod service_translation;
mod shutdown;
mod sleep;
mod spoofed_responses;
mod stale;
mod stale_concurrency;
mod startup_errors;
mod supervision;
mod tcp_limits;
mod tcp_pipelining;
mod timeouts;
mod tls_upstreams;
mod udp_upstreams;
mod uninstall;
mod unpredictability;
mod upstream_files;
mod weight_files;
