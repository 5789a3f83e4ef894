//! The metrics endpoint, read twice and compared.

use std::collections::BTreeMap;
use std::io;

use crate::http;
use crate::setup::LOCAL;

/// Series and their values.
pub(crate) struct Metrics(BTreeMap<String, f64>);

/// Reads the endpoint of the built-in Corefile's `prometheus` directive.
pub(crate) fn scrape() -> io::Result<Metrics> {
    let page = http::get(LOCAL, 9253, "/metrics")?;
    let lines = page.body.lines().filter(|line| !line.starts_with('#'));
    let series = lines.filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        Some((series.to_owned(), value.parse().ok()?))
    });
    Ok(Metrics(series.collect()))
}

impl Metrics {
    /// The sum of all series of a name.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        let of_name = |series: &str| series.split('{').next() == Some(name);
        self.0.iter().filter(|(series, _)| of_name(series)).map(|(_, value)| value).sum()
    }

    /// The counters and gauges that differ in `later`, one per line.
    pub(crate) fn changes(&self, later: &Self) -> Vec<String> {
        let changed: Vec<(String, f64, f64)> = later
            .0
            .iter()
            .filter(|(series, _)| is_printed(series))
            .map(|(series, after)| (shortened(series), self.0.get(series).copied().unwrap_or(0.0), *after))
            .filter(|(_, before, after)| before != after)
            .collect();
        let width = changed.iter().map(|(series, _, _)| series.len()).max().unwrap_or(0);
        changed.iter().map(|(series, before, after)| format!("{series:width$}  {before} → {after}")).collect()
    }
}

fn is_printed(series: &str) -> bool {
    let name = series.split('{').next().unwrap_or_default();
    (name.starts_with("coredns_") || name.starts_with("nodelocaldns_"))
        && !["_bucket", "_sum", "_count"].iter().any(|end| name.ends_with(end))
}

/// The series without labels that are constant in this demonstration.
fn shortened(series: &str) -> String {
    let Some((name, labels)) = series.trim_end_matches('}').split_once('{') else {
        return series.to_owned();
    };
    let varies = |label: &&str| {
        !label.ends_with("=\"\"")
            && !["server=", "family=", "proxy_name="].iter().any(|name| label.starts_with(name))
    };
    let labels: Vec<&str> = labels.split(',').filter(varies).collect();
    if labels.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", labels.join(",")) }
}
