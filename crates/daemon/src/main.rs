//! `nodelocaldns`: the DNS cache of a Kubernetes node. See the library `daemon` for how it works.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    daemon::run(std::env::args_os())
}
