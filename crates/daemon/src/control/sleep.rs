//! Sleeping (`nodelocaldns sleep`), for `preStop` hooks and for a pod that keeps a place.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use super::exit::print_error;
use super::signals::Signals;

/// Sleeps for `time`, or until a signal that terminates: the first process of a container has no
/// default action for one.
pub(super) fn run(time: Duration) -> ExitCode {
    match sleep(time) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&format!("no timer or signal handler from the system: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn sleep(time: Duration) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = Signals::install()?;
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = signals.terminate() => {}
        }
        Ok(())
    })
}
