//! `nodelocaldns top`: what the instance does, as top(1).

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::failed;
use super::output::{Output, duration, field, list, number, octets, percent};
use super::table::{row, table};
use crate::control_socket::{self, ClientError, Replies, Request};
use crate::flags::TopFlags;

/// Moves the cursor to the upper left and clears the screen (ECMA-48).
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Prints a screen at each interval, until it is interrupted.
pub(in crate::control) fn top(flags: &TopFlags) -> ExitCode {
    match print_all(flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn print_all(flags: &TopFlags) -> Result<(), ClientError> {
    let mut output = Output::stdout();
    let is_screen = !flags.inspect.json && io::stdout().is_terminal();
    let ask =
        |request: &Request| control_socket::send(&flags.inspect.directory, request).and_then(Replies::single);
    let mut before = ask(&Request::Status)?;
    let mut left = flags.count.unwrap_or(u64::MAX);
    while left > 0 {
        std::thread::sleep(flags.interval);
        let (status, insight) = (ask(&Request::Status)?, ask(&Request::Insight(flags.rows))?);
        let rates = Rates::between(&before, &status);
        let text = if flags.inspect.json {
            format!("{}\n", json!({ "rates": rates.value(), "insight": insight }))
        } else {
            let clear = if is_screen { CLEAR } else { "" };
            format!("{clear}{}{}\n", rates.text(&status), lists(&insight, rates.responses))
        };
        if !output.write(&text) {
            return Ok(());
        }
        (before, left) = (status, left - 1);
    }
    Ok(())
}

/// What has happened between two reports, per second.
struct Rates {
    responses: f64,
    hits: f64,
    misses: f64,
    /// Upper bounds of the buckets with the median and the 99th percentile, in milliseconds.
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
    /// Names and shares of RCODEs.
    rcodes: Vec<(String, f64)>,
}

impl Rates {
    fn between(before: &Value, now: &Value) -> Self {
        let difference = |path: &str| (number(now, path) - number(before, path)).max(0.0);
        let seconds = difference("/uptime_seconds").max(0.001);
        let responses = difference("/queries/responses");
        let rcodes = now.pointer("/queries/rcodes").and_then(Value::as_object).into_iter().flatten();
        let rcodes = rcodes.map(|(rcode, _)| {
            (rcode.clone(), difference(&format!("/queries/rcodes/{rcode}")) / responses.max(1.0))
        });
        let buckets: Vec<f64> = (0..list(now, "/queries/durations").len())
            .map(|bucket| difference(&format!("/queries/durations/{bucket}")))
            .collect();
        let bounds: Vec<f64> =
            list(now, "/queries/duration_bounds").iter().filter_map(Value::as_f64).collect();
        Self {
            responses: responses / seconds,
            hits: difference("/cache/hits") / seconds,
            misses: difference("/cache/misses") / seconds,
            p50_ms: quantile(&buckets, &bounds, 0.5),
            p99_ms: quantile(&buckets, &bounds, 0.99),
            rcodes: rcodes.filter(|(_, share)| *share > 0.0).collect(),
        }
    }

    fn hit_ratio(&self) -> f64 {
        if self.hits + self.misses > 0.0 { self.hits / (self.hits + self.misses) } else { 0.0 }
    }

    fn value(&self) -> Value {
        let rcodes: serde_json::Map<String, Value> =
            self.rcodes.iter().map(|(rcode, share)| (rcode.clone(), json!(share))).collect();
        json!({
            "responses_per_second": self.responses,
            "hits_per_second": self.hits,
            "misses_per_second": self.misses,
            "hit_ratio": self.hit_ratio(),
            "p50_ms": self.p50_ms,
            "p99_ms": self.p99_ms,
            "rcodes": rcodes,
        })
    }

    fn text(&self, status: &Value) -> String {
        let millis = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |ms| format!("<= {ms} ms"));
        let rcodes: Vec<String> =
            self.rcodes.iter().map(|(rcode, share)| format!("{rcode} {}", percent(*share))).collect();
        let used = octets(number(status, "/cache/octets"));
        let states: Vec<String> = list(status, "/upstreams")
            .iter()
            .filter(|upstream| field(upstream, "/state") != "up")
            .map(|upstream| format!("{} {}", field(upstream, "/to"), field(upstream, "/state")))
            .collect();
        let upstreams = if states.is_empty() { "all up".to_owned() } else { states.join(", ") };
        format!(
            "nodelocaldns {}, up {}: {:.0} responses/s, {} hits, median {}, 99 % {}\n{}\ncache {} ({}), upstreams {}\n",
            field(status, "/version"),
            duration(number(status, "/uptime_seconds")),
            self.responses,
            percent(self.hit_ratio()),
            millis(self.p50_ms),
            millis(self.p99_ms),
            if rcodes.is_empty() { "no responses".to_owned() } else { rcodes.join(", ") },
            used,
            percent(number(status, "/cache/fill")),
            upstreams,
        )
    }
}

/// The upper bound of the bucket with this quantile in milliseconds; `None` without observations or
/// above all bounds.
fn quantile(buckets: &[f64], bounds: &[f64], quantile: f64) -> Option<f64> {
    let total: f64 = buckets.iter().sum();
    let mut seen = 0.0;
    let at = buckets.iter().position(|count| {
        seen += count;
        total > 0.0 && seen >= total * quantile
    });
    bounds.get(at?).map(|seconds| seconds * 1000.0)
}

fn lists(insight: &Value, responses: f64) -> String {
    if insight.get("off").is_some() {
        return "no statistics of names and clients: -insight=false\n".to_owned();
    }
    let name = |row: &Value| format!("{} {}", field(row, "/name"), field(row, "/type"));
    let share = |row: &Value| percent(number(row, "/share"));
    let mut asked = vec![row(["MOST ASKED", "SHARE", "ABOUT", "HITS"])];
    asked.extend(list(insight, "/names/asked").iter().map(|one| {
        let rate = format!("{:.1}/s", number(one, "/share") * responses);
        row([&name(one), &share(one), &rate, &percent(number(one, "/hit_ratio"))])
    }));
    let latency = |one: &Value, path: &str| format!("<= {} ms", number(one, path));
    let mut missed = vec![row(["MOST MISSED", "SHARE", "MEDIAN", "99 %"])];
    missed.extend(
        list(insight, "/names/missed")
            .iter()
            .map(|one| row([&name(one), &share(one), &latency(one, "/p50_ms"), &latency(one, "/p99_ms")])),
    );
    let mut slow = vec![row(["SLOWEST", "COUNT", "MEDIAN", "99 %"])];
    slow.extend(list(insight, "/names/slow").iter().map(|one| {
        row([&name(one), &field(one, "/count"), &latency(one, "/p50_ms"), &latency(one, "/p99_ms")])
    }));
    let mut failing = vec![row(["FAILING", "SERVFAIL", "REFUSED", "OTHERS"])];
    failing.extend(list(insight, "/names/failing").iter().map(|one| {
        row([&name(one), &field(one, "/SERVFAIL"), &field(one, "/REFUSED"), &field(one, "/others")])
    }));
    [asked, missed, slow, failing, clients(insight)].iter().map(|rows| table(rows)).collect()
}

fn clients(insight: &Value) -> Vec<Vec<String>> {
    let mut rows = vec![row(["CLIENT", "RATE", "HITS", "NOERROR", "NXDOMAIN", "SERVFAIL", "OTHERS", "POD"])];
    rows.extend(list(insight, "/clients").iter().map(|client| {
        let rate = format!("{:.1}/s", number(client, "/per_second"));
        let paths = ["/client", "/NOERROR", "/NXDOMAIN", "/SERVFAIL", "/others", "/pod"];
        let [address, noerror, nxdomain, servfail, others, pod] = paths.map(|path| field(client, path));
        row([
            &address,
            &rate,
            &percent(number(client, "/hit_ratio")),
            &noerror,
            &nxdomain,
            &servfail,
            &others,
            &pod,
        ])
    }));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(uptime: f64, hits: u64, durations: [u64; 3]) -> Value {
        json!({
            "uptime_seconds": uptime,
            "queries": {
                "responses": durations.iter().sum::<u64>(),
                "rcodes": { "NOERROR": durations.iter().sum::<u64>() },
                "duration_bounds": [0.001, 0.002],
                "durations": durations,
            },
            "cache": { "hits": hits, "misses": 10 },
        })
    }

    #[test]
    fn rates_are_of_the_time_between_two_reports() {
        let (before, now) = (status(10.0, 100, [10, 0, 0]), status(12.0, 300, [110, 98, 2]));
        let rates = Rates::between(&before, &now);
        assert_eq!((rates.responses, rates.hits, rates.misses, rates.hit_ratio()), (100.0, 100.0, 0.0, 1.0));
        assert_eq!((rates.p50_ms, rates.p99_ms), (Some(1.0), Some(2.0)));
        assert_eq!(rates.rcodes, [("NOERROR".to_owned(), 1.0)]);
        let idle = Rates::between(&now, &status(13.0, 300, [110, 98, 2]));
        assert_eq!((idle.responses, idle.p50_ms, idle.rcodes.len()), (0.0, None, 0));
    }
}
