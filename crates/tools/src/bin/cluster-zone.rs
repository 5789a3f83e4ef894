//! Serves the cluster zone over UDP and TCP until killed.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use tools::command_line::exit_code;

/// Serve the DNS names of a small cluster as CoreDNS does
#[derive(Debug, Parser)]
#[command(name = "cluster-zone")]
struct Arguments {
    /// Listening address, e.g. 127.0.0.1:5300; port 0 takes a free one
    address: SocketAddr,
}

fn main() -> ExitCode {
    let Arguments { address } = Arguments::parse();
    let result = serve(address).map_err(|error| format!("{address}: {error}"));
    exit_code("cluster-zone", result.map(|never| match never {}))
}

fn serve(address: SocketAddr) -> io::Result<std::convert::Infallible> {
    let zone = testkit::cluster_zone::start(address)?;
    writeln!(io::stdout(), "serving cluster.local. on {}, UDP and TCP", zone.addr())?;
    loop {
        std::thread::park();
    }
}
