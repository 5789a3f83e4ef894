//! Edits of the Corefile are noticed by events (inotify). The interval of `reload` is too long for
//! these tests.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::symlink;

use testkit::upstream::Upstream;

use crate::fixture::{
    DNS, DaemonCommand, DaemonProcess, Node, WAIT_LIMIT, forward_corefile, unique_address, upstream,
    wait_until,
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

/// Numbers of the process's descriptors whose link begins like this.
fn descriptors_of(daemon: &DaemonProcess, kind: &str) -> Vec<u32> {
    let descriptors = fs::read_dir(format!("/proc/{}/fd", daemon.id())).unwrap().map(Result::unwrap);
    let matching = descriptors.filter(|descriptor| {
        // Fails for one that has been closed meanwhile.
        fs::read_link(descriptor.path()).is_ok_and(|link| link.to_str().unwrap().starts_with(kind))
    });
    matching.map(|descriptor| descriptor.file_name().to_str().unwrap().parse().unwrap()).collect()
}

/// Numbers of the process's DNS sockets of this address, UDP and listening TCP.
fn dns_sockets(daemon: &DaemonProcess, ip: Ipv4Addr) -> Vec<u32> {
    let address = format!("{:08X}:{DNS:04X}", u32::from_le_bytes(ip.octets()));
    let tables = ["udp", "tcp"].map(|table| fs::read_to_string(format!("/proc/net/{table}")).unwrap());
    let lines = tables.iter().flat_map(|table| table.lines());
    let inodes = lines.filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        (fields[1] == address && fields[2] == "00000000:0000").then(|| fields[9])
    });
    inodes.flat_map(|inode| descriptors_of(daemon, &format!("socket:[{inode}]"))).collect()
}

/// The kernel closes the descriptors of a killed process from the highest to the lowest, and closing
/// the one of inotify takes it long.
#[test]
fn the_sockets_of_a_killed_process_are_closed_before_inotify() {
    let (upstream, node, other) = (upstream(), Node::new(), unique_address());
    let predecessor = node.command(&corefile(&upstream, "")).spawn().wait_until_ready();
    assert_sockets_follow_inotify(&predecessor, node.ip);
    let successor = node.command(&corefile(&upstream, "")).spawn();
    successor.wait_for_log("took over");
    let successor = successor.wait_until_ready();
    assert_sockets_follow_inotify(&successor, node.ip);
    successor.write_corefile(&corefile(&upstream, "").replace("bind @", &format!("bind @ {other}")));
    wait_for_reloads(&successor, 1);
    assert_sockets_follow_inotify(&successor, other);
}

fn assert_sockets_follow_inotify(daemon: &DaemonProcess, ip: Ipv4Addr) {
    let (monitors, sockets) = (descriptors_of(daemon, "anon_inode:inotify"), dns_sockets(daemon, ip));
    assert_eq!(monitors.len(), 1);
    assert!(sockets.len() >= 2 && sockets.iter().min() > monitors.iter().max(), "{monitors:?} {sockets:?}");
}
