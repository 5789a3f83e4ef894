//! The medians of the rounds as text.

use std::fmt::Write as _;

use super::records::Records;
use super::{metrics, peers};

/// A column: title, metric, decimals.
type Column = (String, String, usize);

/// Servers to which CPU time is compared.
const REFERENCES: [&str; 3] = [peers::FLOOR, "unbound", "node-cache"];

/// All tables, and what failed.
pub(super) fn all(records: &Records) -> String {
    let mut text = String::new();
    let column = |metric: &str, decimals| (metric.to_owned(), metric.to_owned(), decimals);
    let costs: Vec<Column> = metrics::COSTS.iter().map(|metric| column(metric, 2)).collect();
    push(&mut text, "CPU us/query", &costs, records);
    ratios(&mut text, records);
    for kind in [metrics::HITS, metrics::MIX] {
        push(&mut text, &format!("Response times, us, {kind}"), &quantiles(kind), records);
    }
    push(&mut text, "CPU us/query at a rate", &rates(), records);
    let mut memory = vec![column(metrics::RSS_IDLE, 1)];
    memory.extend(records.entries().iter().map(|entries| column(&metrics::rss_with(*entries), 1)));
    push(&mut text, "Memory, MiB", &memory, records);
    let flatness = [column(metrics::HIT_AMONG_FEW, 2), column(metrics::HIT_AMONG_ALL, 2)];
    push(&mut text, "CPU us/query", &flatness, records);
    let rest = [
        (metrics::CONNECTIONS, 0),
        (metrics::SOURCE_PORTS, 0),
        (metrics::FIRST_RESPONSE, 1),
        (metrics::SIZE, 1),
    ]
    .map(|(metric, decimals)| column(metric, decimals));
    push(&mut text, "Upstream sockets with 256 in flight; milliseconds; MB", &rest, records);
    for (server, reason) in records.failures() {
        writeln!(text, "failed: {server}: {reason}").ok(); // Into a String.
    }
    text
}

/// The columns of a kind of queries: each quantile at each rate.
fn quantiles(kind: &str) -> Vec<Column> {
    let of_rate = |rate: u32| {
        metrics::QUANTILES.map(|(_, title)| {
            (format!("{}k {title}", rate / 1000), metrics::response_time(kind, rate, title), 0)
        })
    };
    metrics::RATES.into_iter().flat_map(of_rate).collect()
}

fn rates() -> Vec<Column> {
    let of_kind = |kind: &'static str| {
        metrics::RATES.map(|rate| (format!("{kind} {}k", rate / 1000), metrics::cpu_at(kind, rate), 2))
    };
    [metrics::HITS, metrics::MIX].into_iter().flat_map(of_kind).collect()
}

/// A row per server that has a value; none without one.
fn push(text: &mut String, title: &str, columns: &[Column], records: &Records) {
    let cell = |server: &str, (_, metric, decimals): &Column| {
        records.median(server, metric).map(|value| format!("{value:.decimals$}"))
    };
    let rows = records.servers().iter().filter_map(|&server| {
        let cells: Vec<_> = columns.iter().map(|column| cell(server, column)).collect();
        cells.iter().any(Option::is_some).then_some((server, cells))
    });
    grid(text, title, &columns.iter().map(|(title, ..)| title.clone()).collect::<Vec<_>>(), rows);
}

/// CPU time compared to other servers, medians of the ratios of each round.
fn ratios(text: &mut String, records: &Records) {
    for reference in REFERENCES {
        let titles = metrics::COSTS.map(str::to_owned);
        let rows = records.servers().iter().filter_map(|&server| {
            let ratio = |metric: &&str| Some(format!("{:.2}", records.ratio(server, reference, metric)?));
            let cells: Vec<_> = metrics::COSTS.iter().map(ratio).collect();
            cells.iter().any(Option::is_some).then_some((server, cells))
        });
        grid(text, &format!("CPU time, x {reference}"), &titles, rows);
    }
}

fn grid(
    text: &mut String,
    title: &str,
    titles: &[String],
    rows: impl Iterator<Item = (&'static str, Vec<Option<String>>)>,
) {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return;
    }
    let width = |title: &String| title.len().max(7) + 2;
    let heads: String = titles.iter().map(|title| format!("{title:>0$}", width(title))).collect();
    writeln!(text, "{title}\n{:<16}{heads}", "").ok(); // Into a String.
    for (server, cells) in rows {
        let cells = titles.iter().zip(cells).map(|(title, cell)| {
            let cell = cell.unwrap_or_else(|| "-".to_owned());
            format!("{cell:>0$}", width(title))
        });
        writeln!(text, "{server:<16}{}", cells.collect::<String>()).ok();
    }
    text.push('\n');
}
