//! Unusual content and permissions of the hand-over directory.

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;

use nix::sys::signal::Signal;
use nix::unistd::geteuid;

use crate::fixture::{DaemonProcess, Node, forward_corefile, upstream};
use crate::foreign_peer::SOCKET_FILE;
use crate::responses::data;

/// Creates something with the name of the socket; two daemons hand over nevertheless, and it is
/// gone afterwards.
fn assert_replaced(create: impl FnOnce(&Path)) {
    let (upstream, node) = (upstream(), Node::new());
    let corefile = forward_corefile(&upstream, "");
    create(&node.directory.join(SOCKET_FILE));
    let daemon = node.command(&corefile).spawn().wait_until_ready();
    assert_eq!(daemon.warnings(), Vec::<String>::new());
    let found = fs::symlink_metadata(node.directory.join(SOCKET_FILE)).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    let successor = node.command(&corefile).spawn();
    successor.wait_for_log("took over");
    assert_eq!(daemon.terminate().code, Some(0));
    assert_eq!(successor.wait_until_ready().terminate().code, Some(0));
    assert_eq!(node.files(), Vec::<String>::new());
}

#[test]
fn file_with_the_sockets_name_is_replaced() {
    assert_replaced(|path| fs::write(path, "nldh").unwrap());
}

#[test]
fn dangling_symlink_is_replaced() {
    assert_replaced(|path| symlink(path.with_file_name("absent"), path).unwrap());
}

#[test]
fn symlink_loop_is_replaced() {
    assert_replaced(|path| symlink(path, path).unwrap());
}

#[test]
fn socket_without_listener_is_replaced() {
    assert_replaced(|path| drop(UnixListener::bind(path).unwrap()));
}

#[test]
fn datagram_socket_is_replaced() {
    let mut held = None;
    assert_replaced(|path| held = Some(UnixDatagram::bind(path).unwrap()));
    drop(held);
}

#[test]
fn socket_of_a_killed_instance_is_replaced() {
    let (upstream, node) = (upstream(), Node::new());
    let corefile = forward_corefile(&upstream, "");
    let killed = node.command(&corefile).spawn().wait_until_ready();
    killed.signal(Signal::SIGKILL);
    assert_eq!(killed.wait_for_exit().code, None);
    assert_eq!(node.files(), ["control.sock", SOCKET_FILE]);
    let daemon = node.command(&corefile).spawn().wait_until_ready();
    assert_eq!(daemon.warnings(), Vec::<String>::new());
    assert_eq!(daemon.terminate().code, Some(0));
    assert_eq!(node.files(), Vec::<String>::new());
}

/// A daemon with this directory serves, logs `line` and no other warning, and changes nothing.
fn serves_without_hand_over(node: &Node, directory: &Path, line: &str) {
    let upstream = upstream();
    let command = node.command(&forward_corefile(&upstream, ""));
    let daemon = command.arg(&format!("-handover-dir={}", directory.display())).spawn().wait_until_ready();
    assert_eq!(data(&daemon.query("ok-1.example.")), ["192.0.2.1"]);
    assert_one_warning(&daemon, line);
    assert_eq!(daemon.terminate().code, Some(0));
}

fn assert_one_warning(daemon: &DaemonProcess, line: &str) {
    daemon.wait_for_log(line);
    assert_eq!(daemon.warnings().len(), 1, "{:?}", daemon.log_lines());
}

#[test]
fn directory_with_the_sockets_name_is_kept() {
    for name in [SOCKET_FILE, ".handover.sock"] {
        let node = Node::new();
        fs::create_dir(node.directory.join(name)).unwrap();
        serves_without_hand_over(&node, &node.directory, "no successor will be able to take over: ");
        assert_eq!(node.files(), [name]);
        assert!(node.directory.join(name).is_dir());
    }
}

#[test]
fn permissions_of_the_directory_are_restricted() {
    let node = Node::new();
    fs::set_permissions(&node.directory, Permissions::from_mode(0o1777)).unwrap();
    let daemon = node.command(&forward_corefile(&upstream(), "")).spawn();
    daemon.wait_for_log("nodelocaldns-");
    assert_eq!(node.directory.metadata().unwrap().permissions().mode() & 0o7777, 0o700);
    assert_eq!(daemon.terminate().code, Some(0));
}

#[test]
fn symlink_or_file_is_not_used_as_the_directory() {
    let node = Node::new();
    let (real, link, file) =
        (node.directory.join("real"), node.directory.join("link"), node.directory.join("file"));
    fs::create_dir(&real).unwrap();
    symlink(&real, &link).unwrap();
    fs::write(&file, "").unwrap();
    for place in [link, file] {
        let line =
            format!("-handover-dir: {} is not a directory; upgrades are without hand-over", place.display());
        serves_without_hand_over(&node, &place, &line);
    }
    assert_eq!(fs::read_dir(real).unwrap().count(), 0);
}

#[test]
fn directory_whose_permissions_cannot_be_restricted_is_not_used() {
    // A directory of procfs, whose mode cannot be changed.
    serves_without_hand_over(&Node::new(), Path::new("/proc/sys"), "-handover-dir: /proc/sys");
}

#[test]
fn directory_of_another_user_is_not_used() {
    if !geteuid().is_root() {
        println!("skipped: only root gives a directory to another user");
        return;
    }
    let node = Node::new();
    chown(&node.directory, Some(4242), None).unwrap();
    let line = "belongs to the user 4242, who could pose as a predecessor: chown it to 0, or name another";
    serves_without_hand_over(&node, &node.directory, line);
    assert_eq!(node.files(), Vec::<String>::new());
}

#[test]
fn path_too_long_for_a_socket_is_logged() {
    let node = Node::new();
    let directory = node.directory.join("long".repeat(20)).join("longer".repeat(20));
    fs::create_dir_all(&directory).unwrap();
    serves_without_hand_over(
        &node,
        &directory,
        "too many for the path of a socket; upgrades are without hand-over",
    );
}
