//! Comparison of logs: lines with everything replaced that differs from run to run, and counted.

use std::collections::BTreeMap;

use crate::difference::Difference;

/// The differences between two logs.
pub(crate) fn compare(theirs: &[String], ours: &[String]) -> Vec<Difference> {
    let (theirs, ours) = (counted(theirs), counted(ours));
    let mut found = Vec::new();
    for (line, there) in &theirs {
        let here = ours.get(line).copied().unwrap_or_default();
        match here {
            0 => found.push(Difference::new(format!("log: missing: {line}"), format!("{there} times"))),
            _ if here != *there => {
                found.push(Difference::new(format!("log: {there} -> {here} times: {line}"), ""));
            }
            _ => {}
        }
    }
    for (line, here) in ours.iter().filter(|(line, _)| !theirs.contains_key(*line)) {
        found.push(Difference::new(format!("log: added: {line}"), format!("{here} times")));
    }
    found
}

fn counted(lines: &[String]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let mut in_corefile = false;
    for line in lines {
        // node-cache logs the whole rendered Corefile, up to the next line with a date, or with the
        // number of processors, which follows the Corefile with a ConfigMap of kube-dns.
        let dated = without_date(line);
        in_corefile = in_corefile && dated.is_none() && !line.starts_with("maxprocs: ");
        if in_corefile {
            continue;
        }
        let line = dated.unwrap_or(line);
        in_corefile = line == "[INFO] Using config file:";
        *counts.entry(normal(line)).or_default() += 1;
    }
    counts
}

/// The line without the date that Go's logger prints before CoreDNS has started.
fn without_date(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("20")?;
    let is_date = rest.get(..18).is_some_and(|date| {
        date.chars().all(|character| character.is_ascii_digit() || "/: ".contains(character))
    });
    if is_date { rest.get(18..) } else { None }
}

/// The line with ports of clients, IDs, durations, random names and hashes replaced.
fn normal(line: &str) -> String {
    // The list of listeners has no level in CoreDNS.
    let line = match line.strip_prefix("[INFO] ") {
        Some(rest) if is_listener(rest) => rest,
        _ => line,
    };
    let mut words: Vec<String> = Vec::new();
    for word in line.split(' ') {
        words.push(normal_word(word, words.last().map_or("", String::as_str)));
    }
    without_flags(&words.join(" "))
}

/// A line of the query log without the flags of the response, which are compared in the responses,
/// and without the sizes of query and response if the name is a random one of `loop`.
fn without_flags(line: &str) -> String {
    let Some((query, response)) = line.split_once("\" ") else { return line.to_owned() };
    let mut query: Vec<&str> = query.split(' ').collect();
    let mut response: Vec<&str> = response.split(' ').collect();
    if let [_, flags, response_size, "DURATION", ..] = response.as_mut_slice() {
        *flags = "FLAGS";
        if let [.., name, _, query_size, _, _] = query.as_mut_slice()
            && name.starts_with("RANDOM.")
        {
            (*query_size, *response_size) = ("LENGTH", "LENGTH");
        }
    }
    format!("{}\" {}", query.join(" "), response.join(" "))
}

/// `ZONE:PORT on ADDRESS`
fn is_listener(line: &str) -> bool {
    let words: Vec<&str> = line.split(' ').collect();
    matches!(words.as_slice(), [zone, "on", _] if zone.contains(".:"))
}

fn normal_word(word: &str, before: &str) -> String {
    let digits = |text: &str| !text.is_empty() && text.chars().all(|character| character.is_ascii_digit());
    if word.len() >= 64 && word.chars().all(|character| character.is_ascii_hexdigit()) {
        return "HASH".to_owned();
    }
    // A client of a query log line, or the local side of a connection.
    if let Some((address, port)) = word.rsplit_once(':')
        && digits(port)
        && (address == "127.0.0.1"
            || address.starts_with("169.254.")
            || address.starts_with('[')
            || address.starts_with("10.96.0.10"))
        && before == "[INFO]"
    {
        return format!("{address}:PORT");
    }
    if before == "-" && digits(word) {
        return "ID".to_owned();
    }
    if let Some((_, remote)) = word.split_once("->") {
        return remote.to_owned();
    }
    let seconds = word.strip_suffix('s').unwrap_or_default();
    if seconds.contains('.') && seconds.parse::<f64>().is_ok() {
        return "DURATION".to_owned();
    }
    let mut labels = word.splitn(3, '.');
    if let (Some(first), Some(second), Some(rest)) = (labels.next(), labels.next(), labels.next())
        && digits(first)
        && digits(second)
        && first.len() > 9
    {
        return format!("RANDOM.{rest}");
    }
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_run_to_run_is_replaced() {
        let line = r#"[INFO] 127.0.0.1:47394 - 10591 "A IN a.test. udp 33 false 512" NXDOMAIN qr,rd 33 0.000427358s"#;
        assert_eq!(
            normal(line),
            r#"[INFO] 127.0.0.1:PORT - ID "A IN a.test. udp 33 false 512" NXDOMAIN FLAGS 33 DURATION"#
        );
        let line = "[ERROR] plugin/errors: 2 8357458151904743920.5871978698690452445.a. HINFO: read udp 192.0.2.1:58049->192.0.2.53:53: i/o timeout";
        assert_eq!(
            normal(line),
            "[ERROR] plugin/errors: 2 RANDOM.a. HINFO: read udp 192.0.2.53:53: i/o timeout"
        );
        assert_eq!(normal("[INFO] a.test.:53 on 10.0.0.1"), normal("a.test.:53 on 10.0.0.1"));
    }

    #[test]
    fn rendered_corefile_is_skipped_and_lines_are_counted() {
        let theirs = [
            "2026/11/29 23:25:30 [INFO] Using config file:",
            ". {",
            "}",
            "2026/11/29 23:25:30 [INFO] x",
            "[ERROR] y",
            "2026/11/29 23:25:30 [INFO] Using config file:",
            ". {",
            "maxprocs: a number",
            ".:53 on 10.0.0.1",
        ];
        let ours = ["[INFO] x", "[ERROR] y", "[ERROR] y", "[INFO] z", "[INFO] .:53 on 10.0.0.1"];
        let [theirs, ours] = [theirs.map(str::to_owned).to_vec(), ours.map(str::to_owned).to_vec()];
        let texts: Vec<String> =
            compare(&theirs, &ours).into_iter().map(|difference| difference.text).collect();
        assert_eq!(
            texts,
            [
                "log: 1 -> 2 times: [ERROR] y",
                "log: missing: [INFO] Using config file:",
                "log: missing: maxprocs: a number",
                "log: added: [INFO] z"
            ]
        );
    }
}
