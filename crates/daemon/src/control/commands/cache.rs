//! `nodelocaldns cache`: entries of the cache.

use std::process::ExitCode;

use serde_json::Value;

use super::output::{Output, field, list, number, octets};
use super::{failed, single};
use crate::control_socket::{self, CacheNames, ClientError, Request};
use crate::flags::{CacheAction, CacheFlags};

/// Lists, shows or removes entries.
pub(in crate::control) fn cache(flags: &CacheFlags) -> ExitCode {
    let names = match (&flags.name, &flags.zone) {
        (Some(name), _) => CacheNames::Name(name.clone()),
        (None, Some(zone)) => CacheNames::Zone(zone.clone()),
        (None, None) => CacheNames::All,
    };
    let printed = match flags.action {
        CacheAction::List => print_all(flags, &Request::CacheList(names, flags.count)),
        CacheAction::Get => print_all(flags, &Request::CacheGet(names)),
        CacheAction::Flush => {
            return single(&flags.inspect, &Request::CacheFlush(names), flushed, |_| true);
        }
    };
    match printed {
        Ok(0) if flags.action == CacheAction::Get => {
            super::super::exit::print_error(&"no entry");
            ExitCode::FAILURE
        }
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn flushed(reply: &Value) -> String {
    match field(reply, "/removed").as_str() {
        "1" => "1 entry removed\n".to_owned(),
        count => format!("{count} entries removed\n"),
    }
}

/// Prints replies as they arrive; returns the number of entries among them.
fn print_all(flags: &CacheFlags, request: &Request) -> Result<u64, ClientError> {
    let mut output = Output::stdout();
    let mut count = 0;
    let replies = control_socket::send(&flags.inspect.directory, request)?;
    if flags.action == CacheAction::List && !flags.inspect.json {
        output.write(&line(["TYPE", "RCODE", "TTL LEFT", "SIZE", "NAME", "ZONES"]));
    }
    for reply in replies {
        let reply = reply?;
        let is_entry = reply.get("name").is_some();
        count += u64::from(is_entry);
        let text = match flags.action {
            _ if flags.inspect.json => format!("{reply}\n"),
            _ if !is_entry => summary(&reply),
            CacheAction::Get => with_records(&reply),
            CacheAction::List | CacheAction::Flush => row(&reply),
        };
        if !output.write(&text) {
            break;
        }
    }
    Ok(count)
}

fn line([qtype, rcode, remaining, size, name, zones]: [&str; 6]) -> String {
    format!("{qtype:<8} {rcode:<9} {remaining:>8} {size:>9}  {name:<48} {zones}\n")
}

fn row(entry: &Value) -> String {
    let size = octets(number(entry, "/octets"));
    let [name, qtype, rcode, zones] = ["/name", "/type", "/rcode", "/zones"].map(|path| field(entry, path));
    line([&(qtype + variant(entry)), &rcode, &remaining(entry), &size, &name, &zones])
}

fn summary(end: &Value) -> String {
    let is_complete = end.get("complete").and_then(Value::as_bool).unwrap_or(true);
    if is_complete {
        String::new()
    } else {
        format!("... there are more than {}, see -n\n", field(end, "/listed"))
    }
}

/// What distinguishes entries of one name and type.
fn variant(entry: &Value) -> &'static str {
    if let Some(cut) = entry.get("nxdomain_cut").and_then(Value::as_str) {
        return if cut == "cut" { " cut" } else { " no cut" };
    }
    let is = |flag: &str| entry.get(flag).and_then(Value::as_bool).unwrap_or(false);
    match (is("failure"), is("do"), is("cd")) {
        (true, _, _) => "!",
        (false, false, false) => "",
        (false, true, false) => "+do",
        (false, false, true) => "+cd",
        (false, true, true) => "+do+cd",
    }
}

fn remaining(entry: &Value) -> String {
    match number(entry, "/remaining") {
        seconds if seconds > 0.0 => format!("{seconds} s"),
        _ => "stale".to_owned(),
    }
}

fn with_records(entry: &Value) -> String {
    let kind = match variant(entry) {
        "!" => ", a failure of its upstreams",
        " cut" => ", for all names below it",
        " no cut" => ", not for names below it",
        _ => "",
    };
    let mut text = format!(
        "{} {}{}: {}{kind}, {} of {} s left, {} of server block {}\n",
        field(entry, "/name"),
        field(entry, "/type"),
        variant(entry).trim_end_matches('!'),
        field(entry, "/rcode"),
        remaining(entry),
        field(entry, "/ttl"),
        octets(number(entry, "/octets")),
        field(entry, "/zones"),
    );
    for record in list(entry, "/records") {
        text += &record_line(record);
    }
    text
}

/// A record as in a zone file.
pub(super) fn record_line(record: &Value) -> String {
    let [name, ttl, rtype, data] = ["/name", "/ttl", "/type", "/data"].map(|path| field(record, path));
    format!("  {name} {ttl} {rtype} {data}\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_entry_is_no_plural() {
        assert_eq!(flushed(&json!({"removed": 1})), "1 entry removed\n");
        assert_eq!(flushed(&json!({"removed": 0})), "0 entries removed\n");
    }
}
