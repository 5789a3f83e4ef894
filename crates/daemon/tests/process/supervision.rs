//! A task of a worker that panics: the process is replaced, and no worker serves by half.

use std::fs;
use std::path::PathBuf;
use std::thread;

use testkit::RecordType;
use testkit::client::QueryOptions;

use crate::fixture::{
    DaemonCommand, DaemonProcess, Node, WAIT_LIMIT, forward_corefile, upstream, wait_until,
};
use crate::responses::data;

/// A directory of requests to panic, removed when dropped.
struct Faults(PathBuf);

impl Faults {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("faults-{name}"));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// The tasks panic that have this name, each as soon as it has something to do.
    fn inject(&self, task: &str) {
        fs::write(self.0.join(task), "").unwrap();
    }

    fn withdraw(&self, task: &str) {
        fs::remove_file(self.0.join(task)).unwrap();
    }

    fn apply(&self, command: DaemonCommand) -> DaemonCommand {
        command.environment("NODELOCALDNS_PANIC_DIRECTORY", self.0.to_str().unwrap())
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        // What is left behind is in the target directory.
        fs::remove_dir_all(&self.0).ok();
    }
}

/// Queries that every task has a part in, until the process has exited. They may fail.
fn query_until_exit(daemon: &DaemonProcess) {
    let mut number = 0;
    let exited = wait_until(WAIT_LIMIT, || {
        number += 1;
        let client =
            testkit::client::Client { timeout: std::time::Duration::from_millis(100), ..daemon.client() };
        for options in [QueryOptions::default(), QueryOptions::tcp()] {
            client.query(&format!("ok-{number}.example."), RecordType::A, &options).ok();
        }
        daemon.has_exited()
    });
    assert!(exited, "a worker serves by half: {:?}", daemon.log_lines());
}

#[test]
fn a_permanent_task_that_panics_ends_the_process_with_the_reason() {
    let upstream = upstream();
    let corefile = forward_corefile(&upstream, "");
    thread::scope(|scope| {
        for task in ["UDP reader", "TCP listener", "TCP turns", "timers"] {
            let corefile = &corefile;
            scope.spawn(move || {
                let faults = Faults::new(task);
                let start = || faults.apply(DaemonCommand::new(corefile)).spawn().wait_until_ready();
                let daemon = start();
                assert_eq!(data(&daemon.query("ok-before.example.")), ["192.0.2.1"]);
                faults.inject(task);
                query_until_exit(&daemon);
                let exit = daemon.wait_for_exit();
                assert_eq!(exit.code, Some(1), "the kubelet restarts it");
                let reason = format!(
                    "worker 0 has ended, which is a bug: its task \"{task}\" panicked; exiting to be restarted"
                );
                assert_eq!(exit.stderr.last(), Some(&reason), "{:?}", exit.stderr);
                faults.withdraw(task);
                assert_eq!(data(&start().query("ok-after.example.")), ["192.0.2.1"], "{task}");
            });
        }
    });
}

#[test]
fn a_successor_whose_task_panics_is_replaced_by_its_predecessor() {
    let (node, upstream, faults) = (Node::new(), upstream(), Faults::new("successor"));
    let corefile = forward_corefile(&upstream, "");
    let predecessor = node.command(&corefile).spawn().wait_until_ready();
    let successor = faults.apply(node.command(&corefile)).spawn();
    successor.wait_for_log("took over");
    let successor = successor.wait_until_ready();
    faults.inject("UDP reader");
    // The query that the dead task leaves in the socket is answered as well.
    let client = testkit::client::Client { timeout: WAIT_LIMIT, ..successor.client() };
    let response = client.query("ok-1.example.", RecordType::A, &QueryOptions::default()).unwrap();
    assert_eq!(data(&response), ["192.0.2.1"]);
    assert_eq!(successor.wait_for_exit().code, Some(1));
    predecessor.wait_for_log("active again");
    for options in [QueryOptions::default(), QueryOptions::tcp()] {
        assert_eq!(data(&predecessor.query_with("ok-2.example.", &options)), ["192.0.2.1"]);
    }
    assert!(wait_until(WAIT_LIMIT, || predecessor.ready() == Some(200)));
}

#[test]
fn a_standby_whose_worker_ends_exits_and_the_successor_serves_on() {
    let (node, upstream, faults) = (Node::new(), upstream(), Faults::new("standby"));
    let corefile = forward_corefile(&upstream, "");
    let predecessor = faults.apply(node.command(&corefile)).spawn().wait_until_ready();
    // In flight when the successor takes over, so that the timers of the standby have work.
    let socket = predecessor.udp_socket(WAIT_LIMIT);
    let query = QueryOptions::default().message(5, "silent-1.example.", RecordType::A).unwrap();
    socket.send(&query.to_vec().unwrap()).unwrap();
    assert!(upstream.wait_for_queries(WAIT_LIMIT, |questions| !questions.is_empty()));
    let successor = node.command(&corefile).spawn();
    successor.wait_for_log("took over");
    faults.inject("timers");
    assert_eq!(predecessor.wait_for_exit().code, Some(1));
    let successor = successor.wait_until_ready();
    assert_eq!(data(&successor.query("ok-1.example.")), ["192.0.2.1"]);
}
