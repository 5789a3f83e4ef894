//! DNS client: [`Client`] sends one query over UDP or TCP, [`Pipeline`] many on one TCP connection,
//! [`Stub`] resolves as a pod does, with a search list.

mod error;
mod exchange;
mod interruption;
mod pipeline;
mod query;
mod response;
mod stub;

pub use error::ClientError;
pub use exchange::Client;
pub use interruption::uninterrupted;
pub use pipeline::Pipeline;
pub use query::QueryOptions;
pub use response::{Response, rcode_name};
pub use stub::{CandidateResult, LookupResult, ResolvConfError, Stub};
