//! Looks up a name as a pod does, with a search list, and prints the response to each candidate.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use testkit::RecordType;
use testkit::client::{LookupResult, Stub};
use tools::command_line::exit_code;

/// Look up a name as a pod does
#[derive(Debug, Parser)]
#[command(name = "ask")]
struct Arguments {
    /// Name; completed by the search list unless it ends with a dot
    name: String,
    /// Record types, e.g. A AAAA SRV
    #[arg(default_value = "A")]
    types: Vec<RecordType>,
    /// DNS server
    #[arg(long, default_value = "169.254.25.10:53")]
    server: SocketAddr,
    /// Namespace of the pod
    #[arg(long, default_value = "default")]
    namespace: String,
    /// Use TCP
    #[arg(long)]
    tcp: bool,
}

fn main() -> ExitCode {
    exit_code("ask", look_up(&Arguments::parse(), &mut io::stdout().lock()))
}

/// True if the name exists and no lookup failed.
fn look_up(arguments: &Arguments, out: &mut impl Write) -> io::Result<bool> {
    let pod = Stub { servers: vec![arguments.server], tcp: arguments.tcp, ..Stub::pod(&arguments.namespace) };
    let mut found = true;
    for record_type in &arguments.types {
        let (result, candidates) = pod.look_up(&arguments.name, *record_type);
        for candidate in candidates {
            writeln!(out, "{} {record_type}", candidate.name)?;
            match candidate.result {
                Ok(response) => writeln!(out, "    {response}")?,
                Err(error) => writeln!(out, "    {error}")?,
            }
        }
        found &= matches!(result, LookupResult::Found | LookupResult::NoData);
    }
    Ok(found)
}
