//! `-probe`: the startup probe of a pod.
//!
//! The instances before and after an upgrade respond on the same addresses of the node, so an HTTP
//! probe does not tell them apart. This one queries the active instance through the hand-over
//! socket, and checks that it runs in the same container: the kernel reports the peer's process ID
//! only within one PID namespace.

use std::path::Path;
use std::process::ExitCode;

use super::exit::print_error;
use crate::handover::{self, InstanceStatus, SocketDirectory};

/// Conditions that must be met before the pod counts as started.
const REQUIRED: [&str; 3] = ["sockets", "link", "self-check"];

/// Succeeds when the instance of this container is active, reads its sockets, has its link in place
/// and has answered queries of its own on every listener.
pub(super) fn probe(directory: Option<&Path>) -> ExitCode {
    match query(directory) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            print_error(&reason);
            ExitCode::FAILURE
        }
    }
}

fn query(directory: Option<&Path>) -> Result<(), String> {
    let path = directory.ok_or("a probe needs the directory of -handover-dir")?;
    let directory = SocketDirectory::open(path).map_err(|error| error.to_string())?;
    let directory = directory.ok_or_else(|| format!("{} is not there: mount it", path.display()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no timer from the system: {error}"))?;
    evaluate(runtime.block_on(handover::query_status(&directory)))
}

fn evaluate(instance: Option<InstanceStatus>) -> Result<(), String> {
    let instance = instance.ok_or("no instance is active yet")?;
    if !instance.same_pid_namespace {
        return Err("the instance of another pod is still active".to_owned());
    }
    if !instance.has_answered {
        return Err("the instance does not answer".to_owned());
    }
    let unmet: Vec<&str> =
        instance.unmet.iter().map(String::as_str).filter(|name| REQUIRED.contains(name)).collect();
    if unmet.is_empty() { Ok(()) } else { Err(format!("not in place yet: {}", unmet.join(", "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probe_succeeds_for_an_instance_of_the_own_container_with_sockets_and_link() {
        let active =
            InstanceStatus { has_answered: true, same_pid_namespace: true, ..InstanceStatus::default() };
        let unmet = |name: &str| InstanceStatus { unmet: vec![name.to_owned()], ..active.clone() };
        assert_eq!(evaluate(Some(active.clone())), Ok(()));
        assert_eq!(evaluate(Some(unmet("another"))), Ok(()));
        for (instance, reason) in [
            (None, "no instance is active yet"),
            (
                Some(InstanceStatus { same_pid_namespace: false, ..active.clone() }),
                "the instance of another pod is still active",
            ),
            (Some(InstanceStatus { has_answered: false, ..active.clone() }), "the instance does not answer"),
            (Some(unmet("link")), "not in place yet: link"),
            (Some(unmet("self-check")), "not in place yet: self-check"),
        ] {
            assert_eq!(evaluate(instance), Err(reason.to_owned()));
        }
    }
}
