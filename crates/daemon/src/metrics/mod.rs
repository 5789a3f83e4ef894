//! Prometheus metrics: the counters of all workers and of the process, summed at each scrape.
//!
//! Families of CoreDNS and node-cache keep their names; ours start with `nodelocaldns_`.
//! [`ProcessCounters`] is what the process counts, [`Exposition`] the page; the other modules build
//! the families of one subject each.

mod acl;
mod blocks;
mod build_info;
mod cache;
mod clients;
mod dns64;
mod exposition;
mod fail_open;
mod family;
mod hosts;
mod labels;
mod localhost;
mod memory;
mod nxdomain_cuts;
mod process;
mod process_counters;
mod procfs;
mod requests;
mod templates;
mod udp_queues;
mod upstreams;

pub use self::build_info::BuildInfo;
pub use self::exposition::{CONTENT_TYPE, Exposition};
pub use self::fail_open::{CountReader, FailOpenRules};
pub use self::memory::{MemoryPart, MemoryParts};
pub use self::process_counters::{
    AtomicCounter, AtomicGauge, ByLimit, ClientConnections, Confined, Handovers, HealthRequestDurations,
    ImportedEntries, LastReload, OmittedEntries, PacketFilterRejects, ProcessCounters, Reloads, SetupError,
    Snapshots,
};
pub use self::udp_queues::UdpQueues;
