use std::os::unix::fs::symlink;

use serde_json::json;

use super::*;
use crate::clock;

/// As containerd 1.6 writes it by libcni.
fn cached(namespace: &str, pod: &str, addresses: &[&str]) -> Value {
    let ips: Vec<Value> = addresses.iter().map(|one| json!({ "address": one, "interface": 2 })).collect();
    json!({
        "kind": "cniCacheV1",
        "containerId": "6f0c",
        "config": "eyJjbmlWZXJzaW9uIjoiMS4wLjAifQ==",
        "ifName": "eth0",
        "networkName": "cbr0",
        "netns": "/var/run/netns/cni-1",
        "cniArgs": [
            ["K8S_POD_UID", "4dd30e85"],
            ["IgnoreUnknown", "1"],
            ["K8S_POD_NAMESPACE", namespace],
            ["K8S_POD_NAME", pod],
            ["K8S_POD_INFRA_CONTAINER_ID", "6f0c"],
        ],
        "capabilityArgs": { "dns": { "Servers": ["172.30.0.53"], "Searches": null, "Options": null } },
        "result": { "cniVersion": "1.0.0", "interfaces": [], "ips": ips, "dns": {}, "routes": [] },
    })
}

/// A directory with files, removed on drop.
struct Results(PathBuf);

impl Results {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("nodelocaldns-pods-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.0.join(name), content).unwrap();
    }

    fn modified(&self, name: &str, seconds: u64) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        File::options().write(true).open(self.0.join(name)).unwrap().set_modified(time).unwrap();
    }
}

impl Drop for Results {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn addresses_of_both_families_have_the_pod_of_their_newest_file() {
    let results = Results::new("newest");
    let write = |file: &str, pod: &str, addresses: &[&str], seconds| {
        results.write(file, cached("default", pod, addresses).to_string());
        results.modified(file, seconds);
    };
    write("cbr0-1-eth0", "new", &["10.0.0.1/24", "fd00::1/64"], 20);
    write("cbr0-2-eth0", "old", &["10.0.0.1/24", "10.0.0.2/24"], 10);
    let mut legacy = cached("kube-system", "legacy", &[]);
    legacy["result"] = json!({ "cniVersion": "0.2.0", "ip4": { "ip": "10.0.0.3/24" } });
    results.write("cbr0-3-eth0", legacy.to_string());
    let pods = read(&results.0);
    let pod = |address: &str| pods.get(&address.parse::<IpAddr>().unwrap()).map(String::as_str);
    assert_eq!(
        ["10.0.0.1", "fd00::1", "10.0.0.2", "10.0.0.3", "10.0.0.4"].map(pod),
        [Some("default/new"), Some("default/new"), Some("default/old"), Some("kube-system/legacy"), None]
    );
}

#[test]
fn what_is_not_of_the_format_is_skipped() {
    let good = cached("default", "good", &["10.0.0.1/24"]);
    assert!(parse(good.to_string().as_bytes()).is_some());
    for (path, value) in [
        ("/kind", json!("other")),
        ("/ifName", json!("lo")),
        ("/cniArgs", json!({})),
        ("/cniArgs/2/1", json!("a/b")),
        ("/cniArgs/3/1", json!("\u{1b}[2J")),
        ("/cniArgs/3/1", json!("<script>")),
        ("/cniArgs/3/1", json!("")),
        ("/cniArgs/3/1", json!("a".repeat(254))),
        ("/cniArgs/3/1", json!(7)),
        ("/result", Value::Null),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(path).unwrap() = value;
        let addresses = parse(bad.to_string().as_bytes()).map(|(_, addresses)| addresses);
        assert_eq!(addresses.unwrap_or_default(), Vec::<IpAddr>::new(), "{path}");
    }
    let text = good.to_string();
    for end in 0..text.len() {
        assert_eq!(parse(&text.as_bytes()[..end]), None);
    }
    assert_eq!(parse("[".repeat(60_000).as_bytes()), None);
    let many: Vec<String> = (0..200).map(|number| format!("10.0.0.{number}/24")).collect();
    let many = cached("a", "b", &many.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(parse(many.to_string().as_bytes()).unwrap().1.len(), MAX_ADDRESSES);
}

#[test]
fn links_directories_and_large_files_are_skipped_and_files_are_limited() {
    let results = Results::new("limits");
    let text = cached("default", "a", &["10.0.0.1/24"]).to_string();
    let outside = Results::new("outside");
    outside.write("file", &text);
    symlink(outside.0.join("file"), results.0.join("link")).unwrap();
    fs::create_dir(results.0.join("directory")).unwrap();
    results.write("large", format!("{text}{}", " ".repeat(64 << 10)));
    assert_eq!(read(&results.0), HashMap::new());
    for number in 0..MAX_FILES + 100 {
        let address = format!("10.1.{}.{}", number / 250, number % 250);
        results.write(&format!("n-{number}-eth0"), cached("a", "b", &[&address]).to_string());
    }
    assert!(read(&results.0).len() <= MAX_FILES);
    let bulky = Results::new("bulky");
    for number in 0..100 {
        let text = cached("a", "b", &[&format!("10.0.0.{number}/24")]).to_string();
        bulky.write(&number.to_string(), format!("{text}{}", " ".repeat(60 << 10)));
    }
    assert!((60..70).contains(&read(&bulky.0).len()));
    assert_eq!(read(&results.0.join("missing")), HashMap::new());
}

#[test]
fn the_directory_is_read_for_unknown_addresses_and_not_too_often() {
    let results = Results::new("refresh");
    let write = |number: u8| {
        let text = cached("default", &format!("pod-{number}"), &[&format!("10.0.0.{number}/24")]);
        results.write(&number.to_string(), text.to_string());
    };
    let address = |number: u8| IpAddr::from([10, 0, 0, number]);
    let (mut pods, start) = (Pods::new(Some(results.0.clone())), clock::now());
    write(1);
    pods.refresh([address(1)], start);
    assert_eq!(pods.get(address(1)), Some("default/pod-1"));
    write(2);
    pods.refresh([address(2)], start + MIN_AGE / 2);
    assert_eq!(pods.get(address(2)), None);
    pods.refresh([address(1)], start + MIN_AGE);
    assert_eq!(pods.get(address(2)), None);
    pods.refresh([address(1), address(2)], start + MIN_AGE);
    assert_eq!(pods.get(address(2)), Some("default/pod-2"));
    let mut none = Pods::new(None);
    none.refresh([address(1)], start);
    assert_eq!(none.get(address(1)), None);
}
