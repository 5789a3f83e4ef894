//! Asks as a pod does: through the search list, showing each name that is tried.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use testkit::RecordType;
use testkit::client::{LookupResult, Stub};

/// Ask a DNS server as a pod does
#[derive(Debug, Parser)]
#[command(name = "ask")]
struct Arguments {
    /// A name, put through the search list unless it ends with a dot
    name: String,
    /// Types, e.g. A AAAA SRV
    #[arg(default_value = "A")]
    types: Vec<RecordType>,
    /// The server
    #[arg(long, default_value = "169.254.25.10:53")]
    server: SocketAddr,
    /// The namespace of the pod
    #[arg(long, default_value = "default")]
    namespace: String,
    /// Over TCP
    #[arg(long)]
    tcp: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match ask(&arguments, &mut io::stdout().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nothing can be done about a closed stderr.
            drop(writeln!(io::stderr(), "ask: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether the name exists and every type was answered.
fn ask(arguments: &Arguments, out: &mut impl Write) -> io::Result<bool> {
    let pod = Stub { servers: vec![arguments.server], tcp: arguments.tcp, ..Stub::pod(&arguments.namespace) };
    let mut well = true;
    for record_type in &arguments.types {
        let (outcome, tries) = pod.look_up(&arguments.name, *record_type);
        for tried in tries {
            writeln!(out, "{} {record_type}", tried.name)?;
            match tried.result {
                Ok(reply) => writeln!(out, "    {reply}")?,
                Err(error) => writeln!(out, "    {error}")?,
            }
        }
        well &= matches!(outcome, LookupResult::Found | LookupResult::NoData);
    }
    Ok(well)
}
