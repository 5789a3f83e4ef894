//! Configurations that cannot be put in force, one or more for every class of error.

use std::net::{TcpListener, UdpSocket};
use std::path::Path;

use crate::output::BenchError;

/// Addresses of one configuration that take more descriptors than the limit of the experiment.
const MANY: u32 = 600;

/// A configuration, and the class of its error.
pub(super) struct Broken {
    pub(super) class: &'static str,
    /// `None`: the file is missing.
    pub(super) corefile: Option<String>,
}

/// What the configurations name.
pub(super) struct Named<'a> {
    /// A valid Corefile that ends with a closing brace.
    pub(super) corefile: &'a str,
    /// A directory with the files that they name.
    pub(super) dir: &'a Path,
    /// Sockets that do not share their port.
    pub(super) tcp: &'a TcpListener,
    pub(super) udp: &'a UdpSocket,
}

const UNKNOWN: [&str; 16] = [
    "wibble",
    "Cache 30",
    "rewrite name a",
    "hosts {\n ttl x\n}",
    "template IN",
    "kubernetes cluster.local",
    "acl {\n permit\n}",
    "autopath",
    "etcd",
    "loadbalance worst",
    "dns64 {\n prefix x\n}",
    "whoami now",
    "view",
    "grpc . 192.0.2.1",
    "erratic",
    "secondary",
];

const ARGUMENTS: [&str; 44] = [
    "forward . 192.0.2.1 {\n policy\n}",
    "reload 0s",
    "errors {\n consolidate 5m x loud\n}",
    "cache 30 {\n servfail x\n}",
    "cache 30 {\n success ten\n}",
    "cache -1",
    "cache 30 {\n success\n}",
    "cache 30 {\n denial x\n}",
    "cache 30 {\n prefetch\n}",
    "cache 30 {\n serve_stale later\n}",
    "cache 30 {\n keepttl 1\n}",
    "cache 30 {\n wibble\n}",
    "forward",
    "forward .",
    "forward . example.org",
    "forward . 192.0.2.1:99999",
    "forward . tls://",
    "forward . https://192.0.2.1",
    "forward . 192.0.2.1 {\n policy best\n}",
    "forward . 192.0.2.1 {\n max_fails -1\n}",
    "forward . 192.0.2.1 {\n expire 10\n}",
    "forward . 192.0.2.1 {\n health_check 0.5\n}",
    "forward . 192.0.2.1 {\n max_concurrent x\n}",
    "forward . 192.0.2.1 {\n source_address ::1\n}",
    "forward . 192.0.2.1 {\n tls a\n}",
    "forward . 192.0.2.1 {\n wibble\n}",
    "errors {\n consolidate 5m \"(\"\n}",
    "errors {\n wibble\n}",
    "log . {wibble} {\n class none\n}",
    "bufsize 100",
    "bufsize x",
    "timeouts {\n read x\n}",
    "timeouts {\n wibble 1s\n}",
    "reload 1s",
    "reload 10s x",
    "loop now",
    "health 8080",
    "health fd00::10:9254",
    "health {\n lameduck 5\n}",
    "ready a.test:8181",
    "prometheus :9253 x",
    "bind",
    "bind 127.0.0.1 {\n only ::1\n}",
    "bind 10.0.0.256",
];

/// Server blocks and other text after the valid ones.
const APPENDED: [(&str, &str); 17] = [
    ("syntax", "}"),
    ("syntax", "{"),
    ("syntax", "a.test {\n }\n}"),
    ("syntax", "a.test {\n cache 30"),
    ("syntax", "a.test {\n cache 30 {\n  success 1 {\n  }\n }\n}"),
    ("syntax", "a.test {\n import\n}"),
    ("import", "import /nowhere/file"),
    ("import", "import undefined-snippet"),
    ("import", "(a) {\n import a\n}\nb.test {\n import a\n}"),
    ("key", "a..test {\n}"),
    ("key", "a.test:99999 {\n}"),
    ("key", "https://a.test {\n}"),
    ("key", "{$UNSET_VARIABLE} {\n}"),
    ("overlap", ".:PORT {\n bind 127.0.0.1\n}"),
    ("overlap", ".:PORT {\n}"),
    ("once", "a.test {\n cache\n cache\n}"),
    ("once", "a.test {\n errors\n errors\n}"),
];

/// Addresses that the node does not have.
const ABSENT: [&str; 9] = [
    "bind 203.0.113.77",
    "bind 127.9.9.9 203.0.113.77",
    "bind 2001:db8::77",
    "bind 224.0.0.251",
    "bind 255.255.255.255",
    "bind fe80::1%absent0",
    "bind absent0",
    "health 203.0.113.77:8080",
    "ready 203.0.113.77:8181",
];

/// All configurations.
pub(super) fn configurations(named: &Named<'_>) -> Result<Vec<Broken>, BenchError> {
    let with =
        |class, directives: String| Broken { class, corefile: Some(added(named.corefile, &directives)) };
    let mut all = Vec::new();
    all.extend(UNKNOWN.map(|directive| with("directive", directive.to_owned())));
    all.extend(ARGUMENTS.map(|directive| with("argument", directive.to_owned())));
    all.extend(ABSENT.map(|directive| with("address", directive.to_owned())));
    let port = named.corefile.split([':', ' ']).nth(1).unwrap_or_default();
    all.extend(APPENDED.map(|(class, text)| {
        let text = text.replace("PORT", port);
        Broken { class, corefile: Some(format!("{}{text}\n", named.corefile)) }
    }));
    all.extend(files(named.dir)?.map(|directive| with("file", directive)));
    let block =
        |at: std::net::SocketAddr| format!("{}.:{} {{\n bind {}\n}}\n", named.corefile, at.port(), at.ip());
    for at in [named.tcp.local_addr()?, named.udp.local_addr()?] {
        all.push(Broken { class: "in use", corefile: Some(block(at)) });
    }
    for endpoint in ["health", "ready"] {
        all.push(with("in use", format!("{endpoint} {}", named.tcp.local_addr()?)));
    }
    let many: String =
        (0..MANY).map(|number| format!(" 127.8.{}.{}", number / 200, number % 200 + 1)).collect();
    all.push(with("descriptors", format!("bind{many}")));
    for text in ["", "# nothing\n", "a.test {"] {
        all.push(Broken { class: "syntax", corefile: Some(text.to_owned()) });
    }
    all.push(Broken { class: "syntax", corefile: Some("x".repeat(5 << 20)) });
    all.push(Broken { class: "missing", corefile: None });
    Ok(all)
}

/// Directives about files that are not as they should be.
fn files(dir: &Path) -> Result<[String; 5], BenchError> {
    let file = |name: &str, text: &str| {
        let path = dir.join(name);
        std::fs::write(&path, text).map(|()| path.display().to_string())
    };
    let empty = file("empty.conf", "search a.test\n")?;
    let wrong = file("wrong.conf", "nameserver ten\n")?;
    Ok([
        "forward . /nowhere/resolv.conf".to_owned(),
        format!("forward . {}", dir.display()),
        format!("forward . {empty}"),
        format!("forward . {wrong}"),
        format!("forward . tls://192.0.2.1 {{\n tls {empty} {empty}\n}}"),
    ])
}

/// Adds directives to the last server block, in place of those of the same name.
fn added(corefile: &str, directives: &str) -> String {
    let name = directives.split_whitespace().next().unwrap_or_default();
    let is_replaced = |line: &&str| line.split_whitespace().next() != Some(name) || name == "bind";
    let kept: Vec<&str> = corefile.lines().filter(is_replaced).collect();
    let kept = kept.join("\n");
    format!("{}\n{directives}\n}}\n", kept.strip_suffix('}').unwrap_or(&kept))
}
