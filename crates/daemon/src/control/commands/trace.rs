//! `nodelocaldns trace`: queries as they are answered.

use std::process::ExitCode;

use serde_json::Value;

use super::failed;
use super::output::{Output, field, number};
use crate::control_socket::{self, ClientError, Request};
use crate::flags::TraceFlags;

/// Prints what the instance reports, until it ends or nobody reads any more.
pub(in crate::control) fn trace(flags: &TraceFlags) -> ExitCode {
    match print_all(flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn print_all(flags: &TraceFlags) -> Result<(), ClientError> {
    let request = Request::Trace(flags.client, flags.zone.clone());
    let mut replies = control_socket::send(&flags.inspect.directory, &request)?;
    replies.wait_without_limit()?;
    let mut output = Output::stdout();
    if !flags.inspect.json && !output.write(&line(["CLIENT", "TYPE", "RCODE", "MS", "NAME", "WAY", "POD"])) {
        return Ok(());
    }
    let mut left = flags.count.unwrap_or(u64::MAX);
    while left > 0 {
        let Some(reply) = replies.next() else { return Ok(()) };
        let reply = reply?;
        let text = if flags.inspect.json { format!("{reply}\n") } else { text(&reply) };
        if !output.write(&text) {
            return Ok(());
        }
        left -= 1;
    }
    Ok(())
}

fn line([client, qtype, rcode, ms, name, way, pod]: [&str; 7]) -> String {
    format!("{client:<22} {qtype:<6} {rcode:<9} {ms:>9}  {name:<48} {way:<24} {pod}\n")
}

fn text(event: &Value) -> String {
    if event.get("dropped").is_some() {
        return format!(
            "... {} events were dropped: more than this trace could take\n",
            field(event, "/dropped")
        );
    }
    let [client, name, qtype, pod] = ["/client", "/name", "/type", "/pod"].map(|path| field(event, path));
    if event.get("unanswered").is_some() {
        return line([&client, &qtype, "-", "> 5000", &name, "UNANSWERED", &pod]);
    }
    let way = match (&*field(event, "/way"), field(event, "/upstream")) {
        (way, upstream) if upstream == "-" => way.to_owned(),
        (way, upstream) => format!("{way} {upstream}"),
    };
    let ms = format!("{:.3}", number(event, "/ms"));
    line([&client, &qtype, &field(event, "/rcode"), &ms, &name, &way, &pod])
}
