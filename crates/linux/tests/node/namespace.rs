//! Runs a test in a private network namespace.

use std::any::type_name;
use std::panic;
use std::process::{Command, Stdio};
use std::thread;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};

/// Runs `work` on its own thread and runtime in a new network namespace, which has only a loopback
/// link that is down. Without privilege, runs the calling test again in its own user namespace.
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

/// Runs `asserts` in a network namespace without privilege.
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

/// Runs one test of this program as a separate process under `unshare`, with an environment
/// variable set.
fn run_again(test: &str, unshare: &[&str], variable: &str) {
    if !Command::new("unshare").args(unshare).arg("true").status().is_ok_and(|status| status.success()) {
        return skip(test, "neither root nor allowed to create a user namespace, or no unshare command");
    }
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new("unshare");
    command.args(unshare).arg(program).args(["--exact", test]).env(variable, "true");
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// The path of the test that contains a closure, whose type is
/// `program::module::test::{{closure}}`.
fn test_of<W>() -> String {
    let path: Vec<_> =
        type_name::<W>().split("::").skip(1).take_while(|part| !part.starts_with('{')).collect();
    path.join("::")
}

/// Reports a skipped test; fails where CI=true.
#[expect(clippy::print_stderr, reason = "a skipped test must be reported")]
pub(crate) fn skip(test: &str, reason: &str) {
    eprintln!("SKIPPED: {test}: {reason}");
    assert!(!is_set("CI"), "{test} must run where CI=true: {reason}");
}

/// Whether an environment variable is `true`.
#[expect(clippy::disallowed_methods, reason = "the environment decides how strict the tests are")]
pub(crate) fn is_set(variable: &str) -> bool {
    std::env::var(variable).is_ok_and(|value| value == "true")
}

/// The standard output of a program run in the namespace; nothing when it is not installed.
pub(crate) fn output_of(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    Some(String::from_utf8(output.stdout).unwrap())
}
