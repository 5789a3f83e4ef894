//! Comparison of two pages in the Prometheus text format: families, types, label sets, values.

use std::collections::{BTreeMap, BTreeSet};

use crate::difference::Difference;

/// A page: the types of its families, and its samples by name and labels.
#[derive(Debug, Default, PartialEq)]
struct Page {
    types: BTreeMap<String, String>,
    samples: BTreeMap<String, String>,
}

impl Page {
    fn parse(text: &str) -> Self {
        let mut page = Self::default();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                if let Some((name, kind)) = rest.split_once(' ') {
                    page.types.insert(name.to_owned(), kind.to_owned());
                }
            } else if !line.starts_with('#')
                && let Some((sample, value)) = line.rsplit_once(' ')
            {
                page.samples.insert(sorted(sample), number(value));
            }
        }
        page
    }
}

/// The sample with its labels in alphabetical order.
fn sorted(sample: &str) -> String {
    let Some((name, labels)) = sample.split_once('{') else { return sample.to_owned() };
    let labels = labels.strip_suffix('}').unwrap_or(labels).trim_end_matches(',');
    let (mut parts, mut quoted, mut escaped) = (vec![String::new()], false, false);
    for character in labels.chars() {
        if character == ',' && !quoted {
            parts.push(String::new());
            continue;
        }
        quoted ^= character == '"' && !escaped;
        escaped = character == '\\' && !escaped;
        parts.last_mut().into_iter().for_each(|part| part.push(character));
    }
    parts.sort();
    format!("{name}{{{}}}", parts.join(","))
}

/// A value in one spelling: `1e+06` and `1000000` are equal.
fn number(value: &str) -> String {
    value.parse::<f64>().map_or_else(|_| value.to_owned(), |number| number.to_string())
}

/// The differences between two pages. The samples of a family that one side lacks are not listed
/// each.
pub(crate) fn compare(theirs: &str, ours: &str) -> Vec<Difference> {
    let (theirs, ours) = (Page::parse(theirs), Page::parse(ours));
    let mut found = Vec::new();
    let mut add = |text: String| found.push(Difference::new(format!("metrics: {text}"), ""));
    let families: BTreeSet<&String> = theirs.types.keys().chain(ours.types.keys()).collect();
    let mut one_sided = Vec::new();
    for family in families {
        match (theirs.types.get(family), ours.types.get(family)) {
            (Some(there), Some(here)) if there != here => add(format!("type of {family}: {there} -> {here}")),
            (Some(_), Some(_)) | (None, None) => {}
            (there, _) => {
                add(format!("{family} {}", if there.is_some() { "missing" } else { "added" }));
                one_sided.push(family.as_str());
            }
        }
    }
    let belongs = |sample: &str| {
        let name = sample.split('{').next().unwrap_or_default();
        let suffixes = ["", "_bucket", "_sum", "_count"];
        one_sided.iter().any(|family| suffixes.iter().any(|suffix| name.strip_suffix(suffix) == Some(family)))
    };
    let samples: BTreeSet<&String> = theirs.samples.keys().chain(ours.samples.keys()).collect();
    for sample in samples.into_iter().filter(|sample| !belongs(sample)) {
        match (theirs.samples.get(sample), ours.samples.get(sample)) {
            (Some(there), Some(here)) if there != here => add(format!("{sample}: {there} -> {here}")),
            (Some(_), Some(_)) | (None, None) => {}
            (Some(there), None) => add(format!("{sample} missing: {there}")),
            (None, Some(here)) => add(format!("{sample} added: {here}")),
        }
    }
    found
}

/// Number of samples of a page.
pub(crate) fn count(text: &str) -> usize {
    Page::parse(text).samples.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(theirs: &str, ours: &str) -> Vec<String> {
        compare(theirs, ours).into_iter().map(|difference| difference.text).collect()
    }

    #[test]
    fn order_of_labels_and_spelling_of_numbers_do_not_matter() {
        let theirs = "# TYPE a counter\na{x=\"1,2\",y=\"\\\",\"} 1e+06\n";
        assert!(texts(theirs, "# TYPE a counter\na{y=\"\\\",\",x=\"1,2\"} 1000000\n").is_empty());
    }

    #[test]
    fn families_types_samples_and_values_are_compared() {
        let theirs = "# TYPE a counter\na{x=\"1\"} 1\na{x=\"2\"} 2\n# TYPE b histogram\nb_count 1\n# TYPE c gauge\nc 1\n";
        let ours = "# TYPE a counter\na{x=\"1\"} 3\na{x=\"3\"} 4\n# TYPE c counter\nc 1\n";
        assert_eq!(
            texts(theirs, ours),
            [
                "metrics: b missing",
                "metrics: type of c: gauge -> counter",
                "metrics: a{x=\"1\"}: 1 -> 3",
                "metrics: a{x=\"2\"} missing: 2",
                "metrics: a{x=\"3\"} added: 4",
            ]
        );
    }
}
