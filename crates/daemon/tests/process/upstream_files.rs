//! Files that list upstreams (`forward . FILE`), and their changes. They name no ports, so the
//! upstreams here listen on port 53 of loopback, which needs CAP_NET_BIND_SERVICE.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use testkit::RecordType;
use testkit::client::QueryOptions;
use testkit::upstream::{LabelScript, ResponseOrder, ServerOptions, Upstream};

use crate::fixture::{DNS, DaemonProcess, READY, WAIT_LIMIT, loopback, unique_address, upstream, wait_until};
use crate::responses::{code, data};

/// A directory for upstream files; removed when dropped.
pub(crate) struct FileDirectory(PathBuf);

impl FileDirectory {
    pub(crate) fn new() -> Self {
        let directory =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("lists-{}", unique_address()));
        fs::create_dir_all(&directory).unwrap();
        Self(directory)
    }

    /// A file or link in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for FileDirectory {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// An upstream on port 53, which a file can list.
fn port_53_upstream() -> Upstream {
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
         kept.test:{DNS} {{\n bind @\n cache 30\n forward . {kept} {{\n force_tcp\n read_timeout 4s\n }}\n}}\n"
    )
}

/// How often the upstreams have been replaced.
fn replacements(daemon: &DaemonProcess) -> usize {
    daemon.log_lines().iter().filter(|line| line.contains("Reloading complete")).count()
}

#[test]
fn changed_upstream_file_replaces_the_upstreams_only() {
    let (first, second, kept, directory) =
        (port_53_upstream(), port_53_upstream(), upstream(), FileDirectory::new());
    fs::write(directory.path("first"), list(&first)).unwrap();
    fs::write(directory.path("second"), list(&second)).unwrap();
    symlink(directory.path("first"), directory.path("resolv.conf")).unwrap();
    let daemon = DaemonProcess::start(&corefile(&directory.path("resolv.conf"), &kept));
    daemon.query("ok-1.kept.test.");
    daemon.query("ok-1.example.");
    let mut slow = daemon.connect();
    slow.send("slow3000.example.", RecordType::A, &QueryOptions::tcp()).unwrap();
    assert!(first.wait_for_queries(WAIT_LIMIT, |questions| questions.len() == 2));
    let mut kept_slow = daemon.connect();
    kept_slow.send("slow3000.kept.test.", RecordType::A, &QueryOptions::tcp()).unwrap();
    assert!(kept.wait_for_queries(WAIT_LIMIT, |questions| questions.len() == 2));

    symlink(directory.path("second"), directory.path("new")).unwrap();
    fs::rename(directory.path("new"), directory.path("resolv.conf")).unwrap();
    let mut queries = 0;
    let replaced = wait_until(WAIT_LIMIT, || {
        queries += 1;
        assert_eq!(data(&daemon.query(&format!("ok-during{queries}.example."))), ["192.0.2.1"]);
        second.query_count(&format!("ok-during{queries}.example.")) > 0
    });
    assert!(replaced, "{:?}", daemon.log_lines());
    assert!(daemon.wait_for_log("lists other upstreams").ends_with(&second.addr().to_string()));
    daemon.wait_for_log("Reloading complete");
    let listed = |upstream: &Upstream| {
        daemon.metric(&format!("nodelocaldns_upstream_state{{to=\"{}\",state=\"up\"}}", upstream.addr()))
    };
    assert_eq!([listed(&first), listed(&second), listed(&kept)], [0, 1, 1]);
    for number in 1..10 {
        let name = format!("ok-after{number}.example.");
        assert_eq!(data(&daemon.query(&name)), ["192.0.2.1"]);
        assert_eq!((first.query_count(&name), second.query_count(&name)), (0, 1));
    }
    assert_eq!(data(&slow.receive().unwrap()), ["192.0.2.1"], "an open query is answered");
    assert_eq!(data(&kept_slow.receive().unwrap()), ["192.0.2.1"]);
    let retried = format!("nodelocaldns_upstream_retries_total{{to=\"{}\"}}", kept.addr());
    assert_eq!(daemon.metric(&retried), 0, "its connection was not closed");
    daemon.query("ok-1.kept.test.");
    daemon.query("ok-2.kept.test.");
    assert_eq!(kept.query_count("ok-1.kept.test."), 1, "the other block keeps its cache");
    assert_eq!(kept.query_count("ok-2.kept.test."), 1);
    assert_eq!((replacements(&daemon), daemon.warnings()), (1, Vec::new()));
}

#[test]
fn missing_or_empty_upstream_file_keeps_the_upstreams() {
    let (first, second, kept, directory) =
        (port_53_upstream(), port_53_upstream(), upstream(), FileDirectory::new());
    let file = directory.path("resolv.conf");
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
    assert_eq!(daemon.warnings().len(), 2, "each logged once: {:?}", daemon.warnings());
}

#[test]
fn changed_upstream_file_applies_while_the_corefile_is_invalid() {
    let (first, second, directory) = (port_53_upstream(), port_53_upstream(), FileDirectory::new());
    let kept = Upstream::start(loopback()).unwrap();
    let file = directory.path("resolv.conf");
    fs::write(&file, list(&first)).unwrap();
    let daemon = DaemonProcess::start(&corefile(&file, &kept));
    daemon.write_corefile("wibble");
    fs::write(&file, list(&second)).unwrap();
    daemon.wait_for_log("Reloading complete");
    assert_eq!(data(&daemon.query("ok-1.example.")), ["192.0.2.1"]);
    assert_eq!(second.query_count("ok-1.example."), 1);
    assert_eq!(daemon.warnings(), Vec::<String>::new(), "without `reload` the Corefile is not read again");
}
