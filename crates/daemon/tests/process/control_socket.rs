//! The control socket as other programs see it: whom it admits, and hostile input.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use nix::unistd::geteuid;

use crate::fixture::{DaemonProcess, Node, WAIT_LIMIT, forward_corefile, upstream, wait_until};
use crate::responses::data;

/// More than are served at a time.
const CONNECTIONS: usize = 40;

fn start(node: &Node) -> (testkit::upstream::Upstream, DaemonProcess) {
    let upstream = upstream();
    let daemon = node.command(&forward_corefile(&upstream, "")).spawn().wait_until_ready();
    assert!(wait_until(WAIT_LIMIT, || node.files().contains(&"control.sock".to_owned())));
    (upstream, daemon)
}

fn connect(node: &Node) -> UnixStream {
    let stream = UnixStream::connect(node.directory.join("control.sock")).unwrap();
    stream.set_read_timeout(Some(WAIT_LIMIT)).unwrap();
    stream
}

/// Everything that the instance sends in response to these octets.
fn exchange(node: &Node, octets: &[u8]) -> String {
    let mut stream = connect(node);
    // The instance may close the connection before it has read everything.
    stream.write_all(octets).ok();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).ok();
    String::from_utf8(reply).unwrap()
}

#[test]
fn only_its_owner_may_connect() {
    let node = Node::new();
    let (_upstream, _daemon) = start(&node);
    let mode = fs::metadata(node.directory.join("control.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    if !geteuid().is_root() {
        println!("skipped: only root becomes another user");
        return;
    }
    // Even where the permissions of directory and socket let another user in.
    let bare =
        |path: &std::path::Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    bare(&node.directory, 0o755);
    bare(&node.directory.join("control.sock"), 0o666);
    let status = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nodelocaldns"));
        command.args(["status", "-handover-dir"]).arg(&node.directory);
        command
    };
    assert_eq!(status().output().unwrap().status.code(), Some(0));
    let copy = std::env::temp_dir().join(format!("nodelocaldns-other-{}", std::process::id()));
    fs::copy(env!("CARGO_BIN_EXE_nodelocaldns"), &copy).unwrap();
    let mut other = Command::new(&copy);
    other.args(["status", "-handover-dir"]).arg(&node.directory).current_dir("/");
    let output = std::os::unix::process::CommandExt::uid(&mut other, 4242).output();
    fs::remove_file(&copy).unwrap();
    let output = output.unwrap();
    assert_eq!((output.status.code(), &*output.stdout), (Some(3), &b""[..]), "{output:?}");
}

#[test]
fn hostile_input_is_harmless() {
    let node = Node::new();
    let (_upstream, daemon) = start(&node);
    assert!(exchange(&node, b"{\"command\":\"status\"}\n").contains("\"version\""));
    for line in
        [&b"\n"[..], b"GET / HTTP/1.1\r\n\r\n", b"\xff\xfe\n", b"{\"command\":\"halt\"}\n", b"[[[[[\n"]
    {
        assert!(exchange(&node, line).starts_with("{\"error\":"), "{line:?}");
    }
    let nested = [vec![b'['; 4000], b"\n".to_vec()].concat();
    assert!(exchange(&node, &nested).starts_with("{\"error\":"));
    let endless = vec![b'a'; 1 << 20];
    assert_eq!(exchange(&node, &endless), "");
    // Silent connections are closed, so that a later one is served.
    let silent: Vec<UnixStream> = (0..CONNECTIONS).map(|_| connect(&node)).collect();
    assert!(exchange(&node, b"{\"command\":\"status\"}\n").contains("\"version\""));
    drop(silent);
    // Clients that do not read their replies.
    let mut unread: Vec<UnixStream> = (0..CONNECTIONS).map(|_| connect(&node)).collect();
    for stream in &mut unread {
        stream.write_all(b"{\"command\":\"trace\"}\n").ok();
    }
    assert_eq!(data(&daemon.query("ok-1.example.")), ["192.0.2.1"]);
    drop(unread);
    let status = || exchange(&node, b"{\"command\":\"status\"}\n").contains("\"version\"");
    assert!(wait_until(WAIT_LIMIT, status));
    assert_eq!(daemon.warnings(), Vec::<String>::new());
    assert_eq!(daemon.terminate().code, Some(0));
    assert_eq!(node.files(), Vec::<String>::new());
}

#[test]
fn a_removed_socket_is_created_again_and_belongs_to_the_active_instance() {
    let node = Node::new();
    let (upstream, daemon) = start(&node);
    fs::remove_file(node.directory.join("control.sock")).unwrap();
    daemon.wait_for_log("the control socket was removed: created again");
    assert!(wait_until(WAIT_LIMIT, || node.files().contains(&"control.sock".to_owned())));
    let pid = || {
        let reply: serde_json::Value =
            serde_json::from_str(&exchange(&node, b"{\"command\":\"status\"}\n")).unwrap();
        reply["pid"].as_u64()
    };
    assert_eq!(pid(), Some(daemon.id().into()));
    let successor = node.command(&forward_corefile(&upstream, "")).spawn();
    successor.wait_for_log("took over");
    let successor = successor.wait_until_ready();
    assert!(wait_until(Duration::from_secs(10), || {
        node.files().contains(&"control.sock".to_owned()) && pid() == Some(successor.id().into())
    }));
    assert_eq!(daemon.terminate().code, Some(0));
    assert_eq!(pid(), Some(successor.id().into()));
}
