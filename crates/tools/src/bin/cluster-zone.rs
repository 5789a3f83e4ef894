//! Serves the cluster zone over UDP and TCP until killed.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;

/// Serve the DNS names of a small cluster as CoreDNS does
#[derive(Debug, Parser)]
#[command(name = "cluster-zone")]
struct Arguments {
    /// Listening address, e.g. 127.0.0.1:5300; port 0 takes a free one
    address: SocketAddr,
}

fn main() -> ExitCode {
    let Arguments { address } = Arguments::parse();
    match serve(address) {
        Ok(never) => match never {},
        Err(error) => {
            // Stderr may be closed; the exit code reports the failure.
            drop(writeln!(io::stderr(), "cluster-zone: {address}: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn serve(address: SocketAddr) -> io::Result<std::convert::Infallible> {
    let zone = testkit::cluster_zone::start(address)?;
    writeln!(io::stdout(), "serving cluster.local. on {}, UDP and TCP", zone.addr())?;
    loop {
        std::thread::park();
    }
}
