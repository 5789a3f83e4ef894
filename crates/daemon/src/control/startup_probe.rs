//! The startup probe of a pod.
//!
//! The instances before and after an upgrade answer on the same addresses of the node, so that a probe by HTTP does not
//! tell which of them is there. This one asks in the directory where the one in service can be met, and looks whether it
//! runs in the same container: only processes of one pid namespace see each other's numbers.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use crate::handover::{self, InstanceStatus, SocketDirectory};

/// What must be there before the pod counts as started.
const NEEDED: [&str; 2] = ["sockets", "link"];

/// Succeeds when the instance of this container is in service, its sockets are read and its link is in place.
pub(super) fn probe(directory: Option<&Path>) -> ExitCode {
    match ask(directory) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            // Where stderr is closed there is nobody left to tell.
            writeln!(std::io::stderr(), "{reason}").unwrap_or_default();
            ExitCode::FAILURE
        }
    }
}

fn ask(directory: Option<&Path>) -> Result<(), String> {
    let directory = directory.ok_or("a probe needs the directory of -handover-dir")?;
    let place = SocketDirectory::open(directory).map_err(|error| error.to_string())?;
    let place = place.ok_or_else(|| format!("{} is not there: mount it", directory.display()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("the system gives no timer: {error}"))?;
    judge(runtime.block_on(handover::query_status(&place)))
}

fn judge(instance: Option<InstanceStatus>) -> Result<(), String> {
    let instance = instance.ok_or("no instance is in service yet")?;
    if !instance.same_pid_namespace {
        return Err("the instance of another pod is still in service".to_owned());
    }
    if !instance.has_answered {
        return Err("the instance does not answer".to_owned());
    }
    let awaited: Vec<&str> =
        instance.awaits.iter().map(String::as_str).filter(|what| NEEDED.contains(what)).collect();
    if awaited.is_empty() { Ok(()) } else { Err(format!("not in place yet: {}", awaited.join(", "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_instance_of_the_own_container_with_sockets_and_link_counts() {
        let serves =
            InstanceStatus { has_answered: true, same_pid_namespace: true, ..InstanceStatus::default() };
        let awaits = |what: &str| InstanceStatus { awaits: vec![what.to_owned()], ..serves.clone() };
        assert_eq!(judge(Some(serves.clone())), Ok(()));
        assert_eq!(judge(Some(awaits("an answer of our own"))), Ok(()));
        for (instance, reason) in [
            (None, "no instance is in service yet"),
            (
                Some(InstanceStatus { same_pid_namespace: false, ..serves.clone() }),
                "the instance of another pod is still in service",
            ),
            (Some(InstanceStatus { has_answered: false, ..serves.clone() }), "the instance does not answer"),
            (Some(awaits("link")), "not in place yet: link"),
        ] {
            assert_eq!(judge(instance), Err(reason.to_owned()));
        }
    }
}
