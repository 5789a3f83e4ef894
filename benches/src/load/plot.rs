//! The medians as bars, SVG.

use std::fmt::Write as _;

use super::metrics;
use super::records::Records;

/// Pixels.
const PANEL_WIDTH: usize = 430;
const BAR_WIDTH: f64 = 230.0;
const LABEL_WIDTH: usize = 110;
const ROW_HEIGHT: usize = 18;
const TITLE_HEIGHT: usize = 30;
const PANELS_PER_ROW: usize = 3;

/// A metric, and its title with unit.
type Panel = (String, String);

/// One panel per metric that has values, one bar per server; ours is dark.
pub(super) fn svg(records: &Records, title: &str) -> String {
    let servers = records.servers();
    let panels: Vec<Panel> = panels(records)
        .into_iter()
        .filter(|(metric, _)| servers.iter().any(|server| records.median(server, metric).is_some()))
        .collect();
    let height = TITLE_HEIGHT + ROW_HEIGHT * (servers.len() + 1);
    let (width, total) =
        (PANEL_WIDTH * PANELS_PER_ROW, TITLE_HEIGHT + height * panels.len().div_ceil(PANELS_PER_ROW));
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {total}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"10\" y=\"20\" font-size=\"15\">{title}</text>\n"
    );
    for (index, panel) in panels.iter().enumerate() {
        let x = index % PANELS_PER_ROW * PANEL_WIDTH + 10;
        let y = index / PANELS_PER_ROW * height + TITLE_HEIGHT;
        writeln!(text, "<g transform=\"translate({x} {y})\">").ok(); // Into a String.
        bars(&mut text, panel, servers, records);
        text.push_str("</g>\n");
    }
    text + "</svg>\n"
}

fn panels(records: &Records) -> Vec<Panel> {
    let mut panels = Vec::new();
    let mut add = |metric: &str, title: String| panels.push((metric.to_owned(), title));
    for metric in metrics::COSTS {
        add(metric, format!("CPU per {metric}, us"));
    }
    for (kind, rate, quantile) in [
        (metrics::HITS, 5000, "p99"),
        (metrics::HITS, 20_000, "p99"),
        (metrics::MIX, 5000, "p99"),
        (metrics::MIX, 5000, "p99.9"),
    ] {
        add(&metrics::response_time(kind, rate, quantile), format!("{kind} at {rate}/s, {quantile}, us"));
    }
    add(metrics::RSS_IDLE, format!("{}, MiB", metrics::RSS_IDLE));
    for entries in records.entries() {
        add(&metrics::rss_with(entries), format!("{} entries, MiB", metrics::rss_with(entries)));
    }
    add(metrics::CONNECTIONS, "upstream connections, 256 in flight".to_owned());
    add(metrics::FIRST_RESPONSE, "first response after exec, ms".to_owned());
    panels
}

fn bars(text: &mut String, (metric, title): &Panel, servers: &[&str], records: &Records) {
    writeln!(text, "<text y=\"14\" font-weight=\"bold\">{title}</text>").ok(); // Into a String.
    let values = || servers.iter().map(|server| (*server, records.median(server, metric)));
    let largest = values().filter_map(|(_, value)| value).fold(f64::MIN_POSITIVE, f64::max);
    for (row, (server, value)) in values().enumerate() {
        let Some(value) = value else { continue };
        let (y, length) = (TITLE_HEIGHT - 8 + row * ROW_HEIGHT, value / largest * BAR_WIDTH);
        let colour = if server == crate::servers::DAEMON { "#0b5394" } else { "#9fc5e8" };
        let (baseline, number) = (y + 11, length + 4.0);
        writeln!(
            text,
            "<text y=\"{baseline}\">{server}</text>\
             <rect x=\"{LABEL_WIDTH}\" y=\"{y}\" width=\"{length:.1}\" height=\"13\" fill=\"{colour}\"/>\
             <text transform=\"translate({LABEL_WIDTH} 0)\" x=\"{number:.1}\" y=\"{baseline}\">{value:.1}</text>"
        )
        .ok();
    }
}
