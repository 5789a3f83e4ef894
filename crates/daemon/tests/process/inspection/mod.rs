//! The subcommands that look into a running instance through its control socket.

mod reports;
mod trace;

use std::process::{Command, Output};

use serde_json::Value;

use crate::fixture::{
    DNS, DaemonProcess, Node, WAIT_LIMIT, forward_corefile, loopback, upstream, wait_until,
};

/// A subcommand for the instance of a node, with more words.
fn command(node: &Node, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodelocaldns"));
    command.args(words).arg("-handover-dir").arg(&node.directory);
    command
}

fn run(node: &Node, words: &[&str]) -> Output {
    command(node, words).output().unwrap()
}

/// The exit code and stdout of a subcommand that writes nothing to stderr.
fn output(node: &Node, words: &[&str]) -> (Option<i32>, String) {
    let output = run(node, words);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words:?}");
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// The lines of a subcommand's JSON output.
fn json_lines(node: &Node, words: &[&str]) -> Vec<Value> {
    let (_, text) = output(node, &[words, &["-o", "json"]].concat());
    serde_json::Deserializer::from_str(&text).into_iter().collect::<Result<_, _>>().unwrap()
}

fn json(node: &Node, words: &[&str]) -> Value {
    let mut values = json_lines(node, words);
    assert_eq!(values.len(), 1, "{values:?}");
    values.remove(0)
}

fn start(node: &Node, corefile: &str) -> DaemonProcess {
    let daemon = node.command(corefile).spawn().wait_until_ready();
    assert!(wait_until(WAIT_LIMIT, || node.files().contains(&"control.sock".to_owned())));
    daemon
}

#[test]
fn status_reports_upstreams_cache_and_responses() {
    let (upstream, node) = (upstream(), Node::new());
    let daemon = start(&node, &forward_corefile(&upstream, "force_tcp"));
    for name in ["ok-1.example.", "ok-1.example.", "ok-1.example.", "nxdomain-1.example."] {
        daemon.query(name);
    }
    let status = json(&node, &["status"]);
    assert_eq!((&status["ready"], &status["version"]), (&true.into(), &env!("CARGO_PKG_VERSION").into()));
    assert_eq!((status["cache"]["hits"].as_u64(), status["cache"]["misses"].as_u64()), (Some(2), Some(2)));
    let hit_ratio = status["cache"]["hit_ratio"].as_f64();
    assert_eq!((hit_ratio, &status["cache"]["entries"]["success"]), (Some(0.5), &1.into()));
    assert_eq!(status["queries"]["rcodes"], serde_json::json!({ "NOERROR": 3, "NXDOMAIN": 1 }));
    let first = &status["upstreams"][0];
    assert_eq!((&first["to"], &first["state"]), (&upstream.addr().to_string().into(), &"up".into()));
    assert!(first["rtt_ms"].as_f64().is_some_and(|rtt| rtt > 0.0), "{first}");
    assert_eq!(status["pid"], daemon.id());
    let memory: Vec<&str> =
        status["memory"].as_array().unwrap().iter().map(|part| part["part"].as_str().unwrap()).collect();
    assert_eq!(memory, ["cache", "l1", "waiting", "tcp_clients", "udp_queues", "snapshot", "insight"]);
    let (code, text) = output(&node, &["status"]);
    assert_eq!(code, Some(0), "{text}");
    for part in [
        "ready",
        "hit ratio  50.0 % (2 hits, 2 misses)",
        "4 responses since the start: NOERROR 3, NXDOMAIN 1",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn status_tells_why_the_last_reload_failed_and_config_what_is_in_effect() {
    let (upstream, node) = (upstream(), Node::new());
    let corefile = forward_corefile(&upstream, "").replace("errors", "errors\nreload 2s 1s");
    let daemon = start(&node, &corefile);
    let config = json(&node, &["config"]);
    assert_eq!(config["corefile"], corefile.replace('@', &node.ip.to_string()));
    assert_eq!((&config["flags"]["workers"], &config["flags"]["dns.port"]), (&"1".into(), &"53".into()));
    assert_eq!(json(&node, &["status"])["reload"]["last"], Value::Null);

    daemon.write_corefile(&corefile.replace("cache 30", "cached 30"));
    assert!(wait_until(WAIT_LIMIT, || json(&node, &["status"])["reload"]["failure"].is_string()));
    let (code, text) = output(&node, &["status"]);
    assert!(code == Some(1) && text.contains("reload FAILED") && text.contains("cached"), "{text}");
    assert_eq!(json(&node, &["config"])["corefile"], config["corefile"]);

    daemon.write_corefile(&corefile.replace("cache 30", "cache 20"));
    assert!(wait_until(WAIT_LIMIT, || output(&node, &["status"]).0 == Some(0)));
    let (_, text) = output(&node, &["config"]);
    assert!(text.contains("cache 20") && text.contains("# -workers=1\n"), "{text}");
}

#[test]
fn cache_entries_are_listed_shown_and_removed() {
    let (upstream, node) = (upstream(), Node::new());
    let daemon = start(&node, &forward_corefile(&upstream, "force_tcp"));
    let names = ["ok-1.a.example.", "ok-2.a.example.", "ok-3.b.example.", "nxdomain-1.b.example."];
    for name in names {
        daemon.query(name);
    }
    let listed = json_lines(&node, &["cache", "list", "-zone", "a.example"]);
    let mut found: Vec<&str> = listed.iter().filter_map(|entry| entry["name"].as_str()).collect();
    found.sort_unstable();
    assert_eq!(found, &names[..2]);
    assert_eq!(listed.last().unwrap(), &serde_json::json!({ "listed": 2, "complete": true }));
    let listed = json_lines(&node, &["cache", "list", "-n", "3"]);
    assert_eq!(listed.last().unwrap(), &serde_json::json!({ "listed": 3, "complete": false }));

    let (code, text) = output(&node, &["cache", "get", "ok-1.a.example"]);
    assert!(code == Some(0) && text.contains("ok-1.a.example. 30 A 192.0.2.1\n"), "{text}");
    assert_eq!(
        json(&node, &["cache", "get", "OK-1.a.example."])["remaining"].as_i64().map(|left| left > 20),
        Some(true)
    );
    let absent = run(&node, &["cache", "get", "ok-9.a.example"]);
    assert_eq!((absent.status.code(), &*absent.stderr), (Some(1), &b"no entry\n"[..]));

    // From the worker's own cache as well: the next query goes to the upstream.
    assert_eq!(json(&node, &["cache", "flush", "ok-1.a.example"])["removed"], 1);
    daemon.query(names[0]);
    daemon.query(names[1]);
    assert_eq!((upstream.query_count(names[0]), upstream.query_count(names[1])), (2, 1));
    assert_eq!(output(&node, &["cache", "flush", "-zone", "b.example"]).1, "2 entries removed\n");
    assert_eq!(output(&node, &["cache", "flush"]).1, "2 entries removed\n");
    assert_eq!(
        json(&node, &["status"])["cache"]["entries"],
        serde_json::json!({ "success": 0, "denial": 0 })
    );
    daemon.wait_for_log("2 cache entries removed on request");
}

#[test]
fn a_query_tells_the_way_of_its_response() {
    let (upstream, node) = (upstream(), Node::new());
    let _daemon = start(&node, &forward_corefile(&upstream, "force_tcp"));
    let query = |words: &[&str]| json(&node, &[&["query"], words].concat());
    let miss = query(&["ok-1.example"]);
    let address = upstream.addr().to_string();
    assert_eq!(
        (&miss["way"], &miss["upstream"], &miss["ttl"]),
        (&"miss".into(), &address.into(), &30.into())
    );
    assert_eq!((&miss["block"]["zone"], &miss["records"][0]["data"]), (&".".into(), &"192.0.2.1".into()));
    let hit = query(&["ok-1.example"]);
    assert_eq!(
        (&hit["way"], &hit["upstream"], &hit["rcode"]),
        (&"hit".into(), &Value::Null, &"NOERROR".into())
    );
    let (code, text) = output(&node, &["query", "nxdomain-1.example", "aaaa"]);
    assert!(code == Some(0) && text.contains(" AAAA at ") && text.contains("from the upstream"), "{text}");
    let (code, text) = output(&node, &["query", "servfail-1.example"]);
    assert!(code == Some(1) && text.contains("SERVFAIL"), "{text}");
    let server = format!("{}:{DNS}", node.ip);
    assert_eq!(query(&["ok-1.example", "-server", &server])["server"], server);
    let other = run(&node, &["query", "ok-1.example", "-server", &loopback().to_string()]);
    assert_eq!(other.status.code(), Some(1));
}

#[test]
fn top_prints_rates_names_and_clients() {
    let (upstream, node) = (upstream(), Node::new());
    let daemon = start(&node, &forward_corefile(&upstream, "force_tcp"));
    for _ in 0..30 {
        daemon.query("ok-often.example.");
    }
    daemon.query("servfail-1.example.");
    daemon.query("slow250-1.example.");
    let top = json(&node, &["top", "-n", "1", "-rows", "1"]);
    let names = &top["insight"]["names"];
    let first = |list: &str| names[list][0]["name"].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        ["asked", "slow", "failing"].map(first),
        ["ok-often.example.", "slow250-1.example.", "servfail-1.example."]
    );
    assert_eq!((&names["asked"][0]["count"], &names["failing"][0]["SERVFAIL"]), (&30.into(), &1.into()));
    assert!(names["slow"][0]["p99_ms"].as_f64().is_some_and(|ms| ms >= 250.0), "{names}");
    let client = &top["insight"]["clients"][0];
    assert_eq!((&client["queries"], &client["SERVFAIL"]), (&32.into(), &1.into()), "{client}");
    let (code, text) = output(&node, &["top", "-n", "2"]);
    assert_eq!((code, text.matches("MOST ASKED").count()), (Some(0), 2), "{text}");
    assert!(!text.contains('\u{1b}') && text.contains("ok-often.example. A"), "{text}");
}

#[test]
fn clients_are_shown_with_their_pods_from_the_cached_results_of_cni() {
    let (upstream, node) = (upstream(), Node::new());
    let results = node.directory.join("results");
    std::fs::create_dir(&results).unwrap();
    let flag = format!("-cni-results-dir={}", results.display());
    let daemon = node.command(&forward_corefile(&upstream, "")).arg(&flag).spawn().wait_until_ready();
    assert!(wait_until(WAIT_LIMIT, || node.files().contains(&"control.sock".to_owned())));
    daemon.query("ok-1.example.");
    let client = json(&node, &["top", "-n", "1"])["insight"]["clients"][0].clone();
    assert_eq!(client["pod"], Value::Null, "{client}");
    let cached = serde_json::json!({
        "kind": "cniCacheV1",
        "ifName": "eth0",
        "cniArgs": [["K8S_POD_NAMESPACE", "shop"], ["K8S_POD_NAME", "cart-7f9c"]],
        "result": { "ips": [{ "address": client["client"] }] },
    });
    std::fs::write(results.join("cbr0-1-eth0"), cached.to_string()).unwrap();
    std::fs::write(results.join("cbr0-2-eth0"), "{").unwrap();
    let top = json(&node, &["top", "-n", "1"]);
    assert_eq!(top["insight"]["clients"][0]["pod"], "shop/cart-7f9c", "{top}");
    let (_, text) = output(&node, &["top", "-n", "1"]);
    assert!(text.contains(" shop/cart-7f9c\n"), "{text}");
}

#[test]
fn without_insight_no_name_is_kept() {
    let (upstream, node) = (upstream(), Node::new());
    let daemon = node.command(&forward_corefile(&upstream, "")).arg("-insight=false").spawn();
    let daemon = daemon.wait_until_ready();
    assert!(wait_until(WAIT_LIMIT, || node.files().contains(&"control.sock".to_owned())));
    daemon.query("ok-1.example.");
    assert_eq!(json(&node, &["top", "-n", "1"])["insight"], serde_json::json!({ "off": true }));
}

#[test]
fn without_an_instance_the_reason_is_printed_and_the_exit_code_is_3() {
    let node = Node::new();
    let commands: [&[&str]; 7] = [
        &["status"],
        &["config"],
        &["top"],
        &["dump"],
        &["cache", "list"],
        &["query", "a.example"],
        &["trace"],
    ];
    for words in commands {
        let output = run(&node, words);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), &*output.stdout), (Some(3), &b""[..]), "{words:?}");
        assert!(stderr.contains("no instance answers at ") && stderr.contains("-handover-dir"), "{stderr}");
    }
}

#[test]
fn wrong_command_lines_exit_with_2_and_the_help_with_0() {
    let wrong: [&[&str]; 13] = [
        &["top", "-d", "0"],
        &["status", "-o", "xml"],
        &["status", "more"],
        &["config", "-wibble", "x"],
        &["status", "-handover-dir", "0"],
        &["cache"],
        &["cache", "drop"],
        &["cache", "get"],
        &["cache", "get", "a..b"],
        &["cache", "flush", "a", "-zone", "b"],
        &["query"],
        &["query", "a", "WIBBLE"],
        &["trace", "-client", "ten"],
    ];
    for words in wrong {
        let output = Command::new(env!("CARGO_BIN_EXE_nodelocaldns")).args(words).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}");
    }
    for name in ["status", "config", "cache", "query", "top", "trace", "dump"] {
        let output = Command::new(env!("CARGO_BIN_EXE_nodelocaldns")).args([name, "-help"]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{name}");
        assert!(String::from_utf8(output.stdout).unwrap().contains(&format!("Usage: nodelocaldns {name}")));
    }
}

#[test]
fn names_below_a_cut_are_answered_and_shown_as_such() {
    let (upstream, node) = (upstream(), Node::new());
    let corefile = forward_corefile(&upstream, "force_tcp");
    let cache = "cache 30 {\nnxdomain_cut example\n}";
    let daemon = start(&node, &corefile.replace("cache 30", cache));
    daemon.query("www.com.example.");
    let learned = || daemon.metric("nodelocaldns_cache_nxdomain_cut_changes_total");
    assert!(wait_until(WAIT_LIMIT, || learned() == 1));
    daemon.query("api.com.example.");
    assert_eq!((upstream.query_count("com.example."), upstream.query_count("api.com.example.")), (1, 0));

    let (code, text) = output(&node, &["query", "new.com.example"]);
    assert!(code == Some(0) && text.contains("from the cache: a name above it does not exist"), "{text}");
    let entries = json_lines(&node, &["cache", "get", "com.example"]);
    let mut cuts: Vec<_> = entries.iter().map(|entry| entry["nxdomain_cut"].as_str()).collect();
    cuts.sort_unstable();
    assert_eq!(cuts, [None, Some("cut")]);
    let (_, text) = output(&node, &["cache", "list", "-zone", "com.example"]);
    assert!(text.contains("A cut"), "{text}");

    assert_eq!(json(&node, &["cache", "flush", "com.example"])["removed"], 2);
    daemon.query("new.com.example.");
    assert_eq!(upstream.query_count("new.com.example."), 1);
}
