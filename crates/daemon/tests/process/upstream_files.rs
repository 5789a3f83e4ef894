//! Files that list upstreams, and change. They cannot name a port: the upstreams here are at port 53 of loopback, for
//! which tests need the right to bind it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use testkit::RecordType;
use testkit::client::QueryOptions;
use testkit::upstream::{LabelScript, ResponseOrder, ServerOptions, Upstream};

use crate::fixture::{DNS, DaemonProcess, READY, WAIT_LIMIT, loopback, unique_address, upstream, wait_until};
use crate::responses::{code, data};

/// A directory for lists; removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("lists-{}", unique_address()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// A file or link in it.
    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// An upstream that a list can name.
fn listed() -> Upstream {
    let server_options = ServerOptions { order: ResponseOrder::OutOfOrder, ..ServerOptions::default() };
    let started = Upstream::start_with((unique_address(), 53).into(), server_options, LabelScript::default());
    started.unwrap_or_else(|error| panic!("port 53 of loopback, which wants CAP_NET_BIND_SERVICE: {error}"))
}

fn list(upstream: &Upstream) -> String {
    format!("search a.test\nnameserver {}\noptions ndots:5\n", upstream.addr().ip())
}

/// Two blocks: `kept.test` to `kept`, all else to the upstreams of `file`.
fn corefile(file: &Path, kept: &Upstream) -> String {
    let (file, kept) = (file.display(), kept.addr());
    format!(
        ".:{DNS} {{\n bind @\n cache 30\n forward . {file} {{\n force_tcp\n read_timeout 4s\n }}\n ready @:{READY}\n}}\n\
         kept.test:{DNS} {{\n bind @\n cache 30\n forward . {kept} {{\n force_tcp\n }}\n}}\n"
    )
}

/// How often it has taken other upstreams into use.
fn changes(daemon: &DaemonProcess) -> usize {
    daemon.log_lines().iter().filter(|line| line.contains("Reloading complete")).count()
}

#[test]
fn changed_upstream_file_replaces_the_upstreams_only() {
    let (first, second, kept, folder) = (listed(), listed(), upstream(), Folder::new());
    fs::write(folder.path("first"), list(&first)).unwrap();
    fs::write(folder.path("second"), list(&second)).unwrap();
    symlink(folder.path("first"), folder.path("resolv.conf")).unwrap();
    let daemon = DaemonProcess::start(&corefile(&folder.path("resolv.conf"), &kept));
    daemon.query("ok-1.kept.test.");
    daemon.query("ok-1.example.");
    let mut slow = daemon.connect();
    slow.send("slow3000.example.", RecordType::A, &QueryOptions::tcp()).unwrap();
    assert!(first.wait_for_queries(WAIT_LIMIT, |questions| questions.len() == 2));

    symlink(folder.path("second"), folder.path("new")).unwrap();
    fs::rename(folder.path("new"), folder.path("resolv.conf")).unwrap();
    let mut asked = 0;
    let exchanged = wait_until(WAIT_LIMIT, || {
        asked += 1;
        assert_eq!(data(&daemon.query(&format!("ok-during{asked}.example."))), ["192.0.2.1"]);
        second.query_count(&format!("ok-during{asked}.example.")) > 0
    });
    assert!(exchanged, "{:?}", daemon.log_lines());
    assert!(daemon.wait_for_log("lists other upstreams").ends_with(&second.addr().to_string()));
    daemon.wait_for_log("Reloading complete");
    for number in 1..10 {
        let name = format!("ok-after{number}.example.");
        assert_eq!(data(&daemon.query(&name)), ["192.0.2.1"]);
        assert_eq!((first.query_count(&name), second.query_count(&name)), (0, 1));
    }
    assert_eq!(data(&slow.receive().unwrap()), ["192.0.2.1"], "what was open is answered");
    daemon.query("ok-1.kept.test.");
    daemon.query("ok-2.kept.test.");
    assert_eq!(kept.query_count("ok-1.kept.test."), 1, "the other block keeps its answers");
    assert_eq!(
        (kept.query_count("ok-2.kept.test."), kept.connections().accepted),
        (1, 1),
        "and its connections"
    );
    assert_eq!((changes(&daemon), daemon.warnings()), (1, Vec::new()));
}

#[test]
fn missing_or_empty_upstream_file_keeps_the_upstreams() {
    let (first, second, kept, folder) = (listed(), listed(), upstream(), Folder::new());
    let file = folder.path("resolv.conf");
    fs::write(&file, list(&first)).unwrap();
    let daemon = DaemonProcess::start(&corefile(&file, &kept));
    fs::remove_file(&file).unwrap();
    assert!(daemon.wait_for_log("cannot read").ends_with("its upstreams stay as they were"));
    assert_eq!(data(&daemon.query("ok-1.example.")), ["192.0.2.1"]);
    fs::write(&file, "").unwrap();
    daemon.wait_for_log("names no nameserver: its upstreams stay as they were");
    assert_eq!(data(&daemon.query("ok-2.example.")), ["192.0.2.1"]);
    assert_eq!((first.query_count("ok-1.example."), first.query_count("ok-2.example.")), (1, 1));
    fs::write(&file, list(&second)).unwrap();
    daemon.wait_for_log("Reloading complete");
    assert_eq!(code(&daemon.query("ok-3.example.")), testkit::ResponseCode::NoError);
    assert_eq!(second.query_count("ok-3.example."), 1);
    assert_eq!(daemon.warnings().len(), 2, "each told once: {:?}", daemon.warnings());
}

#[test]
fn changed_upstream_file_applies_while_the_corefile_is_invalid() {
    let (first, second, folder) = (listed(), listed(), Folder::new());
    let kept = Upstream::start(loopback()).unwrap();
    let file = folder.path("resolv.conf");
    fs::write(&file, list(&first)).unwrap();
    let daemon = DaemonProcess::start(&corefile(&file, &kept));
    daemon.write_corefile("wibble");
    fs::write(&file, list(&second)).unwrap();
    daemon.wait_for_log("Reloading complete");
    assert_eq!(data(&daemon.query("ok-1.example.")), ["192.0.2.1"]);
    assert_eq!(second.query_count("ok-1.example."), 1);
    assert_eq!(daemon.warnings(), Vec::<String>::new(), "without `reload` nobody looks at the Corefile");
}
