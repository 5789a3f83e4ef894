//! The Corefile language: accepted Corefiles with their settings, rejected ones with their errors.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod assertions;
mod fake_host;
mod load;

mod accepted;
mod acl;
mod all_errors;
mod any;
mod bind;
mod bufsize;
mod cache;
mod chaos;
mod corefile_source;
mod deployments;
mod dns64;
mod endpoints;
mod errors;
mod fingerprint;
mod forward;
mod forward_connection;
mod forward_upstreams;
mod grammar;
mod header;
mod hosts;
mod imports;
mod kube_dns;
mod listeners;
mod loadbalance;
mod local;
mod log;
mod loop_detection;
mod nsid;
mod random_input;
mod real_corefiles;
mod reload;
mod rewrite;
mod rows;
mod server_block_keys;
mod template;
mod timeouts;
mod whoami;
