//! Edits of the Corefile are noticed by events (inotify). The interval of `reload` is too long for
//! these tests.

use std::fs;
use std::os::unix::fs::symlink;

use testkit::upstream::Upstream;

use crate::fixture::{
    DaemonCommand, DaemonProcess, Node, WAIT_LIMIT, forward_corefile, upstream, wait_until,
};

const FAILED: &str = "coredns_reload_failed_total";

fn corefile(upstream: &Upstream, more: &str) -> String {
    forward_corefile(upstream, "force_tcp").replace("ready", &format!("reload 1h 1s\n {more}\n ready"))
}

/// Waits until the configuration has been replaced this often.
fn wait_for_reloads(daemon: &DaemonProcess, count: usize) {
    let reloads = || daemon.log_lines().iter().filter(|line| line.contains("Reloading complete")).count();
    assert!(wait_until(WAIT_LIMIT, || reloads() >= count), "{:?}", daemon.log_lines());
}

#[test]
fn a_corefile_replaced_or_written_in_place_is_noticed() {
    let upstream = upstream();
    let daemon = DaemonCommand::new(&corefile(&upstream, "")).spawn().wait_until_ready();
    daemon.write_corefile(&corefile(&upstream, "log"));
    wait_for_reloads(&daemon, 1);
    let edited = corefile(&upstream, "loop").replace('@', &daemon.ip.to_string());
    fs::write(daemon.file("Corefile"), edited).unwrap();
    wait_for_reloads(&daemon, 2);
    assert_eq!(daemon.metric(FAILED), 0, "{:?}", daemon.log_lines());
}

#[test]
fn a_swap_of_the_data_link_of_a_config_map_is_noticed() {
    let (upstream, node) = (upstream(), Node::new());
    let path = |name: &str| node.directory.join(name);
    for (version, more) in [("..1", ""), ("..2", "log")] {
        fs::create_dir(path(version)).unwrap();
        let text = corefile(&upstream, more).replace('@', &node.ip.to_string());
        fs::write(path(version).join("Corefile"), text).unwrap();
    }
    symlink("..1", path("..data")).unwrap();
    symlink("..data/Corefile", path("Corefile")).unwrap();
    let conf = format!("-conf={}", path("Corefile").display());
    let daemon = node.command("").arg(&conf).spawn().wait_until_ready();
    symlink("..2", path("..data_tmp")).unwrap();
    fs::rename(path("..data_tmp"), path("..data")).unwrap();
    wait_for_reloads(&daemon, 1);
    assert_eq!(daemon.metric(FAILED), 0, "{:?}", daemon.log_lines());
}

#[test]
fn imported_files_that_do_not_exist_yet_are_noticed() {
    let upstream = upstream();
    let daemon =
        DaemonCommand::new(&corefile(&upstream, "import custom/*.override")).spawn().wait_until_ready();
    fs::create_dir(daemon.file("custom")).unwrap();
    fs::write(daemon.file("custom/a.override"), "log\n").unwrap();
    wait_for_reloads(&daemon, 1);
    fs::write(daemon.file("custom/b.override"), "loop\n").unwrap();
    wait_for_reloads(&daemon, 2);
    assert_eq!(daemon.metric(FAILED), 0, "{:?}", daemon.log_lines());
}

/// It is empty when it has been read.
#[test]
fn standard_input_is_read_once() {
    let upstream = upstream();
    let daemon = DaemonCommand::new(&corefile(&upstream, "")).arg("-conf=stdin").spawn().wait_until_ready();
    daemon.query("ok-stdin.example.");
    assert_eq!(daemon.metric(FAILED), 0, "{:?}", daemon.log_lines());
}
