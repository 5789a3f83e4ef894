//! Confinement: what the threads of the process may do, and what happens when one does more.

use std::fs;
use std::path::PathBuf;

use nix::sys::signal::Signal;

use crate::fixture::{
    DNS, DaemonCommand, DaemonProcess, Node, WAIT_LIMIT, forward_corefile, upstream, wait_until,
};
use crate::load::Load;
use crate::responses::data;

/// CAP_NET_ADMIN and CAP_NET_BIND_SERVICE, as in /proc.
const NET_ADMIN: &str = "0000000000001000";
const NET_BIND_SERVICE: &str = "0000000000000400";
const NONE: &str = "0000000000000000";

/// The status of each thread, by name.
fn threads(daemon: &DaemonProcess) -> Vec<(String, String)> {
    let threads = fs::read_dir(format!("/proc/{}/task", daemon.id())).unwrap();
    let read = |file: PathBuf| fs::read_to_string(file).unwrap_or_default();
    threads
        .map(|thread| thread.unwrap().path())
        .map(|path| (read(path.join("comm")).trim().to_owned(), read(path.join("status"))))
        .collect()
}

fn field<'a>(status: &'a str, name: &str) -> &'a str {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in {status}")).trim()
}

/// A worker that makes a call as if an attacker had taken it over.
fn compromised(call: &str) -> DaemonCommand {
    let upstream = upstream();
    DaemonCommand::new(&forward_corefile(&upstream, "")).environment("NODELOCALDNS_COMPROMISED", call)
}

#[test]
fn two_threads_have_one_capability_each_and_all_have_a_filter() {
    let (upstream, node) = (upstream(), Node::new());
    let daemon = node.command(&forward_corefile(&upstream, "")).spawn().wait_until_ready();
    assert_eq!(data(&daemon.query("ok-1.example.")), ["192.0.2.1"]);
    let threads = threads(&daemon);
    let names: Vec<&str> = threads.iter().map(|(name, _)| name.as_str()).collect();
    for name in ["nodelocaldns", "netlink", "binder", "http", "worker-0", "log-writer", "snapshot-writer"] {
        assert!(names.contains(&name), "{names:?}");
    }
    // Those that the tests have: without privileges there are none to be kept.
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let kept = |capability: &str| {
        let bits = |text: &str| u64::from_str_radix(text, 16).unwrap();
        format!("{:016x}", bits(capability) & bits(field(&own, "CapPrm")))
    };
    for (name, status) in &threads {
        let capability = match name.as_str() {
            "netlink" => kept(NET_ADMIN),
            "binder" => kept(NET_BIND_SERVICE),
            _ => NONE.to_owned(),
        };
        for set in ["CapEff", "CapPrm"] {
            assert_eq!(field(status, set), capability, "{set} of {name}");
        }
        for set in ["CapInh", "CapAmb"] {
            assert_eq!(field(status, set), NONE, "{set} of {name}");
        }
        assert_eq!((field(status, "NoNewPrivs"), field(status, "Seccomp")), ("1", "2"), "{name}");
    }
    assert_eq!(daemon.metric("nodelocaldns_confined{by=\"seccomp\"}"), 1);
    // Read from /proc at each scrape.
    let page = daemon.metrics_page();
    for name in
        ["start_time_seconds", "cpu_seconds_total", "open_fds", "max_fds", "network_receive_bytes_total"]
    {
        assert!(page.contains(&format!("\nprocess_{name} ")), "no process_{name}");
    }
}

#[test]
fn a_compromised_worker_ends_the_process_with_a_line() {
    for (call, named) in [
        ("openat", "openat"),
        ("netlink", "socket"),
        ("raw", "socket"),
        ("ptrace", "ptrace"),
        ("execve", "execve"),
        ("kill", "kill"),
        ("mount", "mount"),
        ("unix", "socket"),
    ] {
        let exit = compromised(call).spawn().wait_for_exit();
        let line = format!(
            "seccomp: thread worker-0 made the system call {named}, which this kind of thread may not make"
        );
        assert!(exit.stderr.iter().any(|found| found.starts_with(&line)), "{call}: {exit:?}");
        assert_eq!(exit.code, Some(128 + Signal::SIGSYS as i32), "{call}: {exit:?}");
    }
}

#[test]
fn without_a_filter_files_programs_and_privileged_calls_are_denied_to_a_compromised_worker() {
    let has_landlock = has_landlock();
    let without_landlock = compromised("openat").arg("-seccomp=false").arg("-landlock=false").spawn();
    without_landlock.wait_for_log("compromised worker: openat: Ok(())");
    for (call, denied) in
        [("raw", true), ("ptrace", true), ("mount", true), ("openat", has_landlock), ("execve", has_landlock)]
    {
        let daemon = compromised(call).arg("-seccomp=false").spawn();
        let line = daemon.wait_for_log(&format!("compromised worker: {call}: "));
        let is_denied = line.contains("Permission denied") || line.contains("Operation not permitted");
        assert_eq!(is_denied, denied, "{line}");
    }
}

/// Whether the kernel confines processes to files.
fn has_landlock() -> bool {
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "");
    daemon.metric("nodelocaldns_confined{by=\"landlock\"}") == 1
}

#[test]
fn a_reload_reads_files_of_known_folders_and_names_the_remedy_for_others() {
    let has_landlock = has_landlock();
    let upstream = upstream();
    let daemon = DaemonProcess::forwarding_to(&upstream, "");
    let hosts = |file: &str| {
        forward_corefile(&upstream, "").replacen(
            "errors",
            &format!("errors\nhosts {file} {{\nfallthrough\n}}"),
            1,
        )
    };
    let outside = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("hosts-elsewhere");
    fs::write(&outside, "192.0.2.77 elsewhere.example\n").unwrap();
    daemon.write_corefile(&hosts(outside.to_str().unwrap()));
    daemon.signal(Signal::SIGUSR1);
    if has_landlock {
        let line = daemon.wait_for_log("-landlock-read");
        assert!(line.contains(outside.to_str().unwrap()), "{line}");
    } else {
        assert!(wait_until(WAIT_LIMIT, || data(&daemon.query("elsewhere.example.")) == ["192.0.2.77"]));
    }
    let inside = daemon.file("hosts");
    fs::write(&inside, "192.0.2.78 known.example\n").unwrap();
    daemon.write_corefile(&hosts(inside.to_str().unwrap()));
    daemon.signal(Signal::SIGUSR1);
    assert!(wait_until(WAIT_LIMIT, || data(&daemon.query("known.example.")) == ["192.0.2.78"]));
    let allowed = DaemonCommand::new(&hosts(outside.to_str().unwrap()));
    let allowed = allowed.spawn().wait_until_ready();
    assert_eq!(data(&allowed.query("elsewhere.example.")), ["192.0.2.77"]);
}

#[test]
fn without_its_flags_a_process_has_capabilities_dropped_only() {
    let upstream = upstream();
    let command = DaemonCommand::new(&forward_corefile(&upstream, ""));
    let daemon = command.arg("-seccomp=false").arg("-landlock=false").spawn().wait_until_ready();
    for (name, status) in threads(&daemon) {
        assert_eq!(field(&status, "Seccomp"), "0", "{name}");
        let keeps_one = ["netlink", "binder"].contains(&name.as_str());
        assert!(keeps_one || field(&status, "CapEff") == NONE, "{name}");
    }
    for by in ["seccomp", "landlock"] {
        assert_eq!(daemon.metric(&format!("nodelocaldns_confined{{by=\"{by}\"}}")), 0);
    }
}

#[test]
fn in_log_mode_the_process_goes_on() {
    let daemon = compromised("openat").arg("-seccomp-log").spawn().wait_until_ready();
    daemon.wait_for_log("violations are logged only (-seccomp-log)");
    daemon.wait_for_log("compromised worker: openat: ");
    assert_eq!(daemon.metric("nodelocaldns_confined{by=\"seccomp\"}"), 0);
}

#[test]
fn confined_and_unconfined_instances_hand_over_to_each_other() {
    const CONFINED: [&str; 2] = ["-seccomp=true", "-landlock=true"];
    const UNCONFINED: [&str; 2] = ["-seccomp=false", "-landlock=false"];
    let (upstream, node) = (upstream(), Node::new());
    let corefile = forward_corefile(&upstream, "force_tcp");
    let start = |flags: [&str; 2]| node.command(&corefile).arg(flags[0]).arg(flags[1]).spawn();
    let mut daemon = start(CONFINED).wait_until_ready();
    assert_eq!(data(&daemon.query("ok-1.example.")), ["192.0.2.1"]);
    let load = Load::start((node.ip, DNS).into());
    for (number, flags) in [UNCONFINED, CONFINED, UNCONFINED].into_iter().enumerate() {
        load.wait_for_progress();
        let successor = start(flags);
        successor.wait_for_log("took over");
        successor.wait_for_log("cache entries");
        let successor = successor.wait_until_ready();
        let hands_back = start(flags);
        hands_back.wait_for_log("took over");
        assert_eq!(hands_back.terminate().code, Some(0), "{number}");
        load.wait_for_progress();
        let end = daemon.terminate();
        assert_eq!((end.code, end.stderr), (Some(0), Vec::new()), "{number}");
        daemon = successor;
    }
    load.stop().assert_no_loss();
    assert_eq!(daemon.terminate().code, Some(0));
    assert_eq!(node.files(), Vec::<String>::new());
}
