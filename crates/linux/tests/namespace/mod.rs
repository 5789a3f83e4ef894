//! A private network namespace for one test.

use std::any::type_name;
use std::panic;
use std::process::{Command, Stdio};
use std::thread;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};

/// Runs `work` on a thread and runtime of its own inside a new network namespace that has nothing but a loopback that is
/// down. Without privilege the calling test is run again inside a user namespace of its own.
pub(crate) fn in_namespace<W, F>(work: W)
where
    W: FnOnce() -> F + Send + 'static,
    F: Future<Output = ()>,
{
    let test = test_of::<W>();
    let inside = thread::Builder::new().name(test.clone()).spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET)?;
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work());
        Ok::<(), Errno>(())
    });
    match inside.unwrap().join() {
        Ok(Ok(())) => {}
        Ok(Err(Errno::EPERM)) if !is_set("IN_USER_NAMESPACE") => {
            run_again(&test, &["--user", "--map-root-user", "--net"], "IN_USER_NAMESPACE");
        }
        Ok(Err(error)) => skip(&test, &format!("no network namespace: {error}")),
        Err(failure) => panic::resume_unwind(failure),
    }
}

/// Runs `asserts` inside a network namespace that the process has no rights over.
pub(crate) fn without_privilege<W, F>(asserts: W)
where
    W: FnOnce() -> F,
    F: Future<Output = ()>,
{
    if is_set("WITHOUT_PRIVILEGE") {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(asserts());
    } else {
        let outer = ["--user", "--map-root-user", "--net", "unshare", "--user"];
        run_again(&test_of::<W>(), &outer, "WITHOUT_PRIVILEGE");
    }
}

/// Runs one test of this program as a process of its own under `unshare`, with a variable set to tell it so.
fn run_again(test: &str, unshare: &[&str], variable: &str) {
    if !Command::new("unshare").args(unshare).arg("true").status().is_ok_and(|status| status.success()) {
        return skip(test, "neither root nor allowed to make a user namespace, or no unshare command");
    }
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new("unshare");
    command.args(unshare).arg(program).args(["--exact", test]).env(variable, "true");
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// The name of the test that a closure was written in: its type is called `program::test::{{closure}}`.
fn test_of<W>() -> String {
    type_name::<W>().split("::").nth(1).unwrap().to_owned()
}

/// Says that a test did not run, and fails where tests must run.
#[expect(clippy::print_stderr, reason = "a test that did not run must say so")]
pub(crate) fn skip(test: &str, reason: &str) {
    eprintln!("SKIPPED: {test}: {reason}");
    assert!(!is_set("CI"), "{test} must run where CI=true: {reason}");
}

/// Whether an environment variable is `true`.
#[expect(clippy::disallowed_methods, reason = "tests are told by the environment how strict to be")]
pub(crate) fn is_set(variable: &str) -> bool {
    std::env::var(variable).is_ok_and(|value| value == "true")
}

/// The standard output of a program run inside the namespace; nothing when it is not installed.
pub(crate) fn output_of(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    Some(String::from_utf8(output.stdout).unwrap())
}
