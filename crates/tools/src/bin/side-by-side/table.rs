//! The table of listed differences, `differences.md`: which differences are intended, and why.

use std::collections::HashMap;

/// A row.
#[derive(Debug)]
pub(crate) struct Row {
    /// Pattern of the difference; `*` stands for any text.
    pattern: String,
    /// Names of the peers, separated by blanks, or `all`.
    peers: String,
    /// Pattern of the Corefile's name.
    corefile: String,
    /// Whether every full run must find it.
    sometimes: bool,
    /// Number of differences that it has matched.
    pub(crate) count: usize,
}

impl Row {
    fn matches(&self, difference: &str, peer: &str, corefile: &str) -> bool {
        (self.peers == "all" || self.peers.split(' ').any(|name| name == peer))
            && matches(&self.corefile, corefile)
            && matches(&self.pattern, difference)
    }

    /// Whether it should have matched something in a run with these peers.
    pub(crate) fn is_unused(&self, peers: &[&str]) -> bool {
        let has_peer = self.peers == "all" || self.peers.split(' ').any(|name| peers.contains(&name));
        self.count == 0 && !self.sometimes && has_peer
    }

    /// For reports.
    pub(crate) fn title(&self) -> String {
        let Self { pattern, peers, corefile, .. } = self;
        format!("{pattern} | {peers} | {corefile}")
    }
}

/// All rows.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) rows: Vec<Row>,
    /// The row of a difference, peer and Corefile that have been looked up.
    known: HashMap<(String, String, String), Option<usize>>,
}

impl Table {
    /// The table of this program.
    pub(crate) fn new() -> Result<Self, String> {
        Self::parse(include_str!("differences.md"))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut rows = Vec::new();
        for line in text.lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let [pattern, peers, corefile, when, reason, reference] = cells.as_slice() else {
                return Err(format!("not six cells: {line}"));
            };
            if reason.is_empty() || reference.is_empty() || !["always", "sometimes"].contains(when) {
                return Err(format!("without reason, reference, or always or sometimes: {line}"));
            }
            rows.push(Row {
                pattern: pattern.trim_matches('`').to_owned(),
                peers: (*peers).to_owned(),
                corefile: (*corefile).to_owned(),
                sometimes: *when == "sometimes",
                count: 0,
            });
        }
        Ok(Self { rows, known: HashMap::new() })
    }

    /// Whether a difference is listed; counts it.
    pub(crate) fn lists(&mut self, difference: &str, peer: &str, corefile: &str) -> bool {
        let key = (difference.to_owned(), peer.to_owned(), corefile.to_owned());
        let find = || self.rows.iter().position(|row| row.matches(difference, peer, corefile));
        let found = *self.known.entry(key).or_insert_with(find);
        if let Some(row) = found.and_then(|index| self.rows.get_mut(index)) {
            row.count += 1;
        }
        found.is_some()
    }
}

/// Whether a text matches a pattern in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        assert!(matches("a*c*e", "abcde") && matches("*", "") && matches("a", "a"));
        assert!(!matches("a*c", "abcd") && !matches("a", "ab") && !matches("a*b*b", "ab"));
    }

    #[test]
    fn every_row_has_a_reason_and_is_matched_by_peer_and_corefile() {
        let text = "| difference | peers |\n| `metrics: go_*` | node-cache | x* | always | runtime | D.3 |\n";
        let mut table = Table::parse(text).unwrap();
        assert!(table.lists("metrics: go_info missing", "node-cache", "xy"));
        assert!(!table.lists("metrics: go_info missing", "node-local-dns", "xy"));
        assert!(!table.lists("metrics: go_info missing", "node-cache", "y"));
        assert_eq!(table.rows[0].count, 1);
        assert!(Table::parse("| `a` | all | * | always |  | x |\n").is_err());
    }

    #[test]
    fn the_table_of_this_program_is_complete() {
        assert!(!Table::new().unwrap().rows.is_empty());
    }
}
