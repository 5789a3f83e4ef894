//! `nodelocaldns status`: the state of the instance, for people.

use serde_json::Value;

use super::output::{duration, field, list, number, octets, percent, words};
use super::table::{row, table};

/// True for an instance that is ready and whose last reload did not fail.
pub(super) fn is_well(status: &Value) -> bool {
    let ready = status.pointer("/ready").and_then(Value::as_bool).unwrap_or(false);
    ready && status.pointer("/reload/failure").is_none_or(Value::is_null)
}

pub(super) fn text(status: &Value) -> String {
    let sections =
        [head(status), node(status), upstreams(status), cache(status), memory(status), reload(status)];
    sections.concat()
}

fn head(status: &Value) -> String {
    let is_ready = status.pointer("/ready").and_then(Value::as_bool).unwrap_or(false);
    let ready =
        if is_ready { "ready".to_owned() } else { format!("not ready: {}", words(status, "/waits_for")) };
    let revision =
        status.pointer("/revision").and_then(Value::as_str).filter(|revision| !revision.is_empty());
    let revision = revision.map(|revision| format!(" ({revision})")).unwrap_or_default();
    let mut text = format!(
        "nodelocaldns {}{revision}, PID {}, up {}: {ready}\n",
        field(status, "/version"),
        field(status, "/pid"),
        duration(number(status, "/uptime_seconds")),
    );
    for listener in list(status, "/listeners") {
        text += &format!("  {} serves {}\n", field(listener, "/server"), words(listener, "/zones"));
    }
    let responses = number(status, "/queries/responses");
    text += &format!("  {responses} responses since the start");
    let rcodes = status.pointer("/queries/rcodes").and_then(Value::as_object);
    let rcodes: Vec<String> =
        rcodes.into_iter().flatten().map(|(rcode, count)| format!("{rcode} {count}")).collect();
    text + &if rcodes.is_empty() { "\n".to_owned() } else { format!(": {}\n", rcodes.join(", ")) }
}

fn node(status: &Value) -> String {
    let in_place = |path: &str| status.pointer(path).and_then(Value::as_bool).unwrap_or(false);
    let link = match field(status, "/node/link").as_str() {
        "-" => "not maintained (-setupinterface=false)".to_owned(),
        link if in_place("/node/link_in_place") => format!("{link}, in place"),
        link => format!("{link}, NOT in place"),
    };
    let rules = match (in_place("/node/rules_requested"), in_place("/node/rules_installed")) {
        (false, _) => "not maintained (-setupiptables=false)",
        (true, true) => "installed",
        (true, false) => "NOT installed",
    };
    let mut rows = vec![
        row(["addresses", &words(status, "/node/addresses")]),
        row(["link", &link]),
        row(["rules", rules]),
    ];
    rows.extend(
        list(status, "/node/fail_open").iter().map(|address| row(["fail-open", &fail_open(address)])),
    );
    let sent = number(status, "/node/fail_open_packets");
    if sent > 0.0 {
        rows.push(row(["", &format!("{sent} packets and connections went there")]));
    }
    let repairs = number(status, "/node/repairs");
    if repairs > 0.0 {
        rows.push(row(["repairs", &repairs.to_string()]));
    }
    for error in list(status, "/node/setup_errors") {
        rows.push(row(["setup errors", &format!("{} {}", field(error, "/count"), field(error, "/kind"))]));
    }
    format!("Node\n{}", table(&rows))
}

/// A ClusterIP is left to kube-proxy: it leads to itself.
fn fail_open(address: &Value) -> String {
    let [from, to] = ["/address", "/upstream"].map(|path| field(address, path));
    match to.as_str() {
        "-" => format!("{from} to none"),
        to if to == from => format!("{from} to its Service"),
        to => format!("{from} to {to}"),
    }
}

/// Listeners with the same server blocks have equal rows: each is shown once.
fn upstreams(status: &Value) -> String {
    let mut rows =
        vec![row(["ZONES", "FROM", "UPSTREAM", "OVER", "STATE", "RTT", "RESPONSES", "FAILURES", "HEDGES"])];
    for upstream in list(status, "/upstreams") {
        let rtt = upstream.pointer("/rtt_ms").and_then(Value::as_f64);
        let rtt = rtt.map_or_else(|| "-".to_owned(), |rtt| format!("{rtt:.1} ms"));
        let [zones, from, to, over, state] =
            ["/zones", "/from", "/to", "/transport", "/state"].map(|path| field(upstream, path));
        let [responses, failures, hedges] =
            ["/responses", "/failures", "/hedges"].map(|path| field(upstream, path));
        let row = vec![zones, from, to, over, state, rtt, responses, failures, hedges];
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    format!("Upstreams\n{}", table(&rows))
}

fn cache(status: &Value) -> String {
    let value = |name: &str| number(status, &format!("/cache/{name}"));
    let rows = [
        row([
            "entries",
            &format!("{} positive, {} negative", value("entries/success"), value("entries/denial")),
        ]),
        row([
            "memory",
            &format!(
                "{} of {} ({})",
                octets(value("octets")),
                octets(value("octets_limit")),
                percent(value("fill"))
            ),
        ]),
        row([
            "hit ratio",
            &format!("{} ({} hits, {} misses)", percent(value("hit_ratio")), value("hits"), value("misses")),
        ]),
        row([
            "more",
            &format!(
                "{} served stale, {} prefetches, {} coalesced, {} evictions",
                value("served_stale"),
                value("prefetches"),
                value("coalesced"),
                value("evictions")
            ),
        ]),
    ];
    format!("Cache\n{}", table(&rows))
}

fn memory(status: &Value) -> String {
    let mut rows = vec![row(["PART", "USED", "LIMIT"])];
    for part in list(status, "/memory") {
        let [used, limit] = ["/used", "/limit"].map(|path| octets(number(part, path)));
        rows.push(row([&field(part, "/part"), &used, &limit]));
    }
    let mut text = format!("Memory plan\n{}", table(&rows));
    let limits: Vec<Vec<String>> = list(status, "/limits")
        .iter()
        .map(|limit| row([&field(limit, "/limit"), &field(limit, "/count")]))
        .collect();
    if !limits.is_empty() {
        text += &format!("Limits reached\n{}", table(&limits));
    }
    text
}

fn reload(status: &Value) -> String {
    let source = field(status, "/reload/source");
    let mut text = format!("Configuration\n  {source}, SHA512 {:.16}...\n", field(status, "/reload/sha512"));
    let last = status.pointer("/reload/last").and_then(Value::as_f64);
    let now = number(status, "/started") + number(status, "/uptime_seconds");
    if let Some(ago) = last.map(|last| duration((now - last).max(0.0))) {
        text += &match field(status, "/reload/failure").as_str() {
            "-" => format!("  reloaded {ago} ago\n"),
            failure => format!("  reload FAILED {ago} ago, the one before is in effect:\n    {failure}\n"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cluster_ip_fails_open_to_its_service() {
        let to = |upstream: Value| fail_open(&json!({"address": "10.96.0.10", "upstream": upstream}));
        assert_eq!(to(json!("10.96.0.10")), "10.96.0.10 to its Service");
        assert_eq!(to(json!("10.96.236.161")), "10.96.0.10 to 10.96.236.161");
        assert_eq!(to(Value::Null), "10.96.0.10 to none");
    }

    #[test]
    fn an_upstream_of_two_listeners_is_shown_once() {
        let row = |to: &str| json!({"zones": ".", "from": ".", "to": to, "transport": "tcp", "state": "up", "rtt_ms": 1.0});
        let status = json!({"upstreams": [row("192.0.2.1:53"), row("192.0.2.2:53"), row("192.0.2.1:53")]});
        let text = upstreams(&status);
        assert_eq!(text.lines().count(), 4, "{text}");
        assert_eq!(text.matches("192.0.2.1:53").count(), 1, "{text}");
    }
}
