//! Answers of directives of a server block over UDP and TCP: `template`, `rewrite`, `dns64`, and those in
//! front of the cache.

mod dns64;
mod in_front;
mod rewrite;
mod template;

use testkit::RecordType;
use testkit::client::{QueryOptions, Response};
use testkit::upstream::Upstream;

use crate::fixture::{DaemonProcess, forward_corefile};

/// A daemon with these lines in its server block, which forwards to `upstream`.
fn start(lines: &str, upstream: &Upstream) -> DaemonProcess {
    DaemonProcess::start(&forward_corefile(upstream, "").replacen("errors", lines, 1))
}

/// The responses over UDP and over TCP.
fn both(daemon: &DaemonProcess, name: &str, rtype: RecordType) -> [Response; 2] {
    [QueryOptions::default(), QueryOptions::tcp()].map(|options| {
        let response = daemon.client().query(name, rtype, &options);
        response.unwrap_or_else(|error| panic!("{name}: {error}; {:?}", daemon.log_lines()))
    })
}

/// The records of the answer section as text, with their TTL.
fn records(response: &Response) -> Vec<String> {
    response.message.answers.iter().map(ToString::to_string).collect()
}

/// The names that an upstream was queried for, with their types.
fn asked(upstream: &Upstream) -> Vec<String> {
    upstream.queries().into_iter().map(|query| format!("{} {}", query.name, query.record_type)).collect()
}
