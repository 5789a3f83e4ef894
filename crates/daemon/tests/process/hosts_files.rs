//! Files of `hosts` directives, and their changes.

use std::fs;
use std::path::Path;

use testkit::upstream::Upstream;

use crate::fixture::{DNS, DaemonProcess, READY, WAIT_LIMIT, upstream, wait_until};
use crate::responses::data;
use crate::upstream_files::FileDirectory;

/// Two blocks with a cache: `kept.test`, and the root with a `hosts` directive and these options.
fn corefile(file: &Path, options: &str, upstream: &Upstream) -> String {
    let (file, upstream) = (file.display(), upstream.addr());
    format!(
        ".:{DNS} {{\n bind @\n cache 30\n hosts {file} {{\n{options}\n fallthrough\n }}\n forward . {upstream}\n \
         ready @:{READY}\n}}\n\
         kept.test:{DNS} {{\n bind @\n cache 30\n forward . {upstream}\n}}\n"
    )
}

#[test]
fn changed_hosts_file_takes_effect_and_drops_the_cache_of_its_block_only() {
    let (upstream, directory) = (upstream(), FileDirectory::new());
    let file = directory.path("hosts");
    fs::write(&file, "192.0.2.10 www.example\n").unwrap();
    let daemon = DaemonProcess::start(&corefile(&file, " reload 1s\n 192.0.2.20 inline.example", &upstream));
    let answer = |name: &str| data(&daemon.query(name));
    assert_eq!(answer("www.example."), ["192.0.2.10"]);
    assert_eq!(answer("inline.example."), ["192.0.2.20"]);
    assert_eq!([answer("ok-1.example."), answer("ok-1.kept.test.")], [["192.0.2.1"], ["192.0.2.1"]]);
    let entries = format!("coredns_hosts_entries{{hostsfile=\"{}\"}}", file.display());
    assert_eq!(daemon.metric(&entries), 4);

    fs::write(directory.path("new"), "192.0.2.11 www.example\n192.0.2.12 ok-1.example\n").unwrap();
    fs::rename(directory.path("new"), &file).unwrap();
    let changed = wait_until(WAIT_LIMIT, || answer("www.example.") == ["192.0.2.11"]);
    assert!(changed, "{:?}", daemon.log_lines());
    assert_eq!(answer("ok-1.example."), ["192.0.2.12"], "the upstream's answer is not served any more");
    assert_eq!(answer("inline.example."), ["192.0.2.20"]);
    assert_eq!(answer("ok-1.kept.test."), ["192.0.2.1"]);
    assert_eq!(upstream.query_count("ok-1.kept.test."), 1, "the other block keeps its cache");
    assert!(daemon.wait_for_metric(&entries, 6), "counted once the workers have them");
    assert!(daemon.metrics_page().contains("coredns_hosts_reload_timestamp_seconds 1"));

    fs::remove_file(&file).unwrap();
    assert!(daemon.wait_for_log("cannot read").ends_with("its entries stay as they were"));
    assert_eq!(answer("www.example."), ["192.0.2.11"]);
    fs::write(&file, "192.0.2.13 www.example\n").unwrap();
    assert!(wait_until(WAIT_LIMIT, || answer("www.example.") == ["192.0.2.13"]));
    assert_eq!(daemon.warnings().len(), 1, "{:?}", daemon.warnings());
}

#[test]
fn missing_hosts_file_is_read_once_it_exists() {
    let (upstream, directory) = (upstream(), FileDirectory::new());
    let file = directory.path("hosts");
    let daemon = DaemonProcess::start(&corefile(&file, " reload 1s\n 192.0.2.20 inline.example", &upstream));
    assert!(daemon.wait_for_log("cannot read the hosts file").ends_with("it is read when it can be"));
    assert_eq!(data(&daemon.query("inline.example.")), ["192.0.2.20"]);
    fs::write(&file, "192.0.2.10 www.example\n").unwrap();
    let served = wait_until(WAIT_LIMIT, || data(&daemon.query("www.example.")) == ["192.0.2.10"]);
    assert!(served, "{:?}", daemon.log_lines());
}
