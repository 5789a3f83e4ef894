//! `nodelocaldns query`: a query to the instance, and the way of its response.

use std::process::ExitCode;

use serde_json::Value;

use super::cache::record_line;
use super::output::{field, list, number};
use super::single;
use crate::control_socket::Request;
use crate::flags::QueryFlags;

/// Queries the instance.
pub(in crate::control) fn query(flags: &QueryFlags) -> ExitCode {
    let request = Request::Query(flags.name.clone(), flags.qtype, flags.server);
    let is_answer = |reply: &Value| matches!(&*field(reply, "/rcode"), "NOERROR" | "NXDOMAIN");
    single(&flags.inspect, &request, text, is_answer)
}

fn text(reply: &Value) -> String {
    let [name, qtype, server, rcode] = ["/name", "/type", "/server", "/rcode"].map(|path| field(reply, path));
    let mut text = format!("{name} {qtype} at {server}: {rcode}\n");
    text += &format!("  {}", way(&field(reply, "/way"), &field(reply, "/upstream")));
    if reply.pointer("/ms").is_some_and(Value::is_f64) {
        text += &format!(", {:.3} ms", number(reply, "/ms"));
    }
    text += &match field(reply, "/ttl").as_str() {
        "-" => "\n".to_owned(),
        ttl => format!(", TTL {ttl} s\n"),
    };
    if reply.pointer("/block").is_some_and(Value::is_object) {
        let [zone, listener] = ["/block/zone", "/block/server"].map(|path| field(reply, path));
        text += &format!("  zone {zone} of {listener}\n");
    }
    if reply.pointer("/truncated") == Some(&Value::Bool(true)) {
        text += "  truncated: a client would repeat it over TCP\n";
    }
    for record in list(reply, "/records") {
        text += &record_line(record);
    }
    text
}

fn way(way: &str, upstream: &str) -> String {
    match way {
        "hit" => "from the cache".to_owned(),
        "cut" => "from the cache: a name above it does not exist".to_owned(),
        "stale" => "from the cache, expired: no fresh response in time".to_owned(),
        "miss" => format!("from the upstream {upstream}"),
        "local" => "from the server block itself".to_owned(),
        "failed" => format!("no response of the upstream {upstream}"),
        "refused" => "refused without a query to an upstream".to_owned(),
        _ => "the way is not known: too much was traced".to_owned(),
    }
}
